CREATE TABLE "market_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"public_key" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"endorsed_by" text,
	"endorsement" text,
	CONSTRAINT "market_keys_endorsed" CHECK (("market_keys"."endorsed_by" is null) = ("market_keys"."endorsement" is null))
);
--> statement-breakpoint
CREATE TABLE "metering_records" (
	"lease_id" text NOT NULL,
	"seq" integer NOT NULL,
	"from_at" timestamp (3) with time zone NOT NULL,
	"to_at" timestamp (3) with time zone NOT NULL,
	"metered_ms" bigint NOT NULL,
	"total_ms" bigint NOT NULL,
	"final" boolean NOT NULL,
	"prev" text NOT NULL,
	"key_id" text NOT NULL,
	"signature" text NOT NULL,
	"agent_key_id" text,
	"agent_signature" text,
	CONSTRAINT "metering_records_lease_id_seq_pk" PRIMARY KEY("lease_id","seq"),
	CONSTRAINT "metering_records_time" CHECK ("metering_records"."metered_ms" >= 0 and "metering_records"."total_ms" >= "metering_records"."metered_ms"),
	CONSTRAINT "metering_records_agent" CHECK (("metering_records"."agent_key_id" is null) = ("metering_records"."agent_signature" is null))
);
--> statement-breakpoint
CREATE TABLE "provider_keys" (
	"provider_id" text NOT NULL,
	"signing_key_id" text NOT NULL,
	"public_key" text NOT NULL,
	"first_seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "provider_keys_provider_id_signing_key_id_pk" PRIMARY KEY("provider_id","signing_key_id")
);
--> statement-breakpoint
CREATE TABLE "receipts" (
	"job_id" text NOT NULL,
	"number" integer NOT NULL,
	"document" text NOT NULL,
	"issued_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "receipts_job_id_number_pk" PRIMARY KEY("job_id","number"),
	CONSTRAINT "receipts_number" CHECK ("receipts"."number" >= 1)
);
--> statement-breakpoint
ALTER TABLE "provider_keys" ADD CONSTRAINT "provider_keys_provider_id_providers_id_fk" FOREIGN KEY ("provider_id") REFERENCES "public"."providers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "receipts" ADD CONSTRAINT "receipts_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
-- What was signed stays as it was. A machine's signature may follow the market's, once.
CREATE TRIGGER receipts_append_only BEFORE UPDATE OR DELETE ON receipts
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
--> statement-breakpoint
CREATE TRIGGER market_keys_append_only BEFORE UPDATE OR DELETE ON market_keys
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
--> statement-breakpoint
CREATE TRIGGER provider_keys_append_only BEFORE UPDATE OR DELETE ON provider_keys
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
--> statement-breakpoint
CREATE TRIGGER metering_records_stay BEFORE DELETE ON metering_records
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
--> statement-breakpoint
CREATE FUNCTION refuse_metering_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.agent_signature IS NOT NULL
    OR (to_jsonb(NEW) - 'agent_key_id' - 'agent_signature') <> (to_jsonb(OLD) - 'agent_key_id' - 'agent_signature') THEN
    RAISE EXCEPTION 'metering_records only take the signature of the machine, once' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE TRIGGER metering_records_signed_once BEFORE UPDATE ON metering_records
  FOR EACH ROW EXECUTE FUNCTION refuse_metering_change();
