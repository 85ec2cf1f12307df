CREATE TABLE "kept_states" (
	"provider_id" text NOT NULL,
	"job_id" text NOT NULL,
	"checkpoint_id" text NOT NULL,
	"counted_for" text NOT NULL,
	"bytes" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "kept_states" ADD CONSTRAINT "kept_states_provider_id_providers_id_fk" FOREIGN KEY ("provider_id") REFERENCES "public"."providers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "kept_states" ADD CONSTRAINT "kept_states_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "kept_states_each" ON "kept_states" USING btree ("provider_id","job_id");--> statement-breakpoint
CREATE INDEX "kept_states_job" ON "kept_states" USING btree ("job_id");