CREATE TABLE "machine_credentials" (
	"secret_hash" text PRIMARY KEY NOT NULL,
	"provider_id" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "providers" ALTER COLUMN "credential_hash" SET DEFAULT '';--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "identity_key" text;--> statement-breakpoint
ALTER TABLE "machine_credentials" ADD CONSTRAINT "machine_credentials_provider_id_providers_id_fk" FOREIGN KEY ("provider_id") REFERENCES "public"."providers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "machine_credentials_provider" ON "machine_credentials" USING btree ("provider_id");--> statement-breakpoint
CREATE INDEX "machine_credentials_expiry" ON "machine_credentials" USING btree ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "providers_identity_key" ON "providers" USING btree ("identity_key");