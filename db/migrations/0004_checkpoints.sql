CREATE TABLE "checkpoint_chunks" (
	"checkpoint_id" text NOT NULL,
	"key" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "checkpoints" (
	"id" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"lease_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"state" text DEFAULT 'arriving' NOT NULL,
	"taken_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"completed_at" timestamp (3) with time zone,
	"manifest_key" text,
	"manifest_sha256" text,
	"files" integer DEFAULT 0 NOT NULL,
	"size_bytes" bigint DEFAULT 0 NOT NULL,
	"new_bytes" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "checkpoints_state" CHECK ("checkpoints"."state" in ('arriving', 'complete', 'damaged')),
	CONSTRAINT "checkpoints_complete" CHECK (("checkpoints"."state" = 'arriving') = ("checkpoints"."manifest_key" is null) and ("checkpoints"."state" = 'arriving') = ("checkpoints"."completed_at" is null))
);
--> statement-breakpoint
CREATE TABLE "stored_objects" (
	"key" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"sha256" text NOT NULL,
	"size_bytes" bigint NOT NULL,
	"state" text DEFAULT 'arriving' NOT NULL,
	"touched_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "stored_objects_state" CHECK ("stored_objects"."state" in ('arriving', 'stored', 'removing')),
	CONSTRAINT "stored_objects_size" CHECK ("stored_objects"."size_bytes" >= 0)
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "used_ms" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "checkpoint_chunks" ADD CONSTRAINT "checkpoint_chunks_checkpoint_id_checkpoints_id_fk" FOREIGN KEY ("checkpoint_id") REFERENCES "public"."checkpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "checkpoint_chunks" ADD CONSTRAINT "checkpoint_chunks_key_stored_objects_key_fk" FOREIGN KEY ("key") REFERENCES "public"."stored_objects"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_lease_id_leases_id_fk" FOREIGN KEY ("lease_id") REFERENCES "public"."leases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_manifest_key_stored_objects_key_fk" FOREIGN KEY ("manifest_key") REFERENCES "public"."stored_objects"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "stored_objects" ADD CONSTRAINT "stored_objects_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "checkpoint_chunks_each" ON "checkpoint_chunks" USING btree ("checkpoint_id","key");--> statement-breakpoint
CREATE INDEX "checkpoint_chunks_key" ON "checkpoint_chunks" USING btree ("key");--> statement-breakpoint
CREATE UNIQUE INDEX "checkpoints_one_arriving" ON "checkpoints" USING btree ("lease_id") WHERE "checkpoints"."state" = 'arriving';--> statement-breakpoint
CREATE INDEX "checkpoints_job" ON "checkpoints" USING btree ("job_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "checkpoints_manifest" ON "checkpoints" USING btree ("manifest_key");--> statement-breakpoint
CREATE UNIQUE INDEX "stored_objects_content" ON "stored_objects" USING btree ("job_id","sha256") WHERE "stored_objects"."state" <> 'removing';--> statement-breakpoint
CREATE INDEX "stored_objects_touched" ON "stored_objects" USING btree ("touched_at");--> statement-breakpoint
CREATE INDEX "artifacts_blob" ON "artifacts" USING btree ("blob_key");--> statement-breakpoint
-- Result files from before this table: their blobs lie below a folder of two characters, which is now in the key.
UPDATE "artifacts" SET "blob_key" = left("blob_key", 2) || '/' || "blob_key" WHERE "blob_key" !~ '/';--> statement-breakpoint
INSERT INTO "stored_objects" ("key", "job_id", "sha256", "size_bytes", "state")
SELECT DISTINCT ON ("blob_key") "blob_key", "job_id", "sha256", "size_bytes", $$stored$$ FROM "artifacts" ORDER BY "blob_key", "id";
