CREATE TABLE "dispute_decisions" (
	"dispute_id" text NOT NULL,
	"seq" integer NOT NULL,
	"outcome" text NOT NULL,
	"blame" text NOT NULL,
	"rule" text,
	"decided_by" text,
	"explanation" text NOT NULL,
	"refund_micros" bigint NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "dispute_decisions_dispute_id_seq_pk" PRIMARY KEY("dispute_id","seq"),
	CONSTRAINT "dispute_decisions_outcome" CHECK ("dispute_decisions"."outcome" in ('granted', 'denied')),
	CONSTRAINT "dispute_decisions_blame" CHECK ("dispute_decisions"."blame" in ('provider', 'platform', 'nobody')),
	CONSTRAINT "dispute_decisions_who" CHECK (("dispute_decisions"."rule" is null) <> ("dispute_decisions"."decided_by" is null))
);
--> statement-breakpoint
CREATE TABLE "disputes" (
	"id" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"user_id" text NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"reason" text NOT NULL,
	"message" text NOT NULL,
	"evidence" jsonb NOT NULL,
	"refund_micros" bigint DEFAULT '0' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"decided_at" timestamp (3) with time zone,
	CONSTRAINT "disputes_jobId_unique" UNIQUE("job_id"),
	CONSTRAINT "disputes_state" CHECK ("disputes"."state" in ('open', 'granted', 'denied')),
	CONSTRAINT "disputes_reason" CHECK ("disputes"."reason" in ('wrong-result', 'damaged-result', 'machine-failed', 'too-slow', 'wrong-bill', 'other')),
	CONSTRAINT "disputes_refund" CHECK ("disputes"."refund_micros" >= 0),
	CONSTRAINT "disputes_decided" CHECK (("disputes"."state" = 'open') = ("disputes"."decided_at" is null))
);
--> statement-breakpoint
CREATE TABLE "quotes" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"spec_hash" text NOT NULL,
	"estimate" jsonb NOT NULL,
	"job_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "quotes_jobId_unique" UNIQUE("job_id")
);
--> statement-breakpoint
ALTER TABLE "dispute_decisions" ADD CONSTRAINT "dispute_decisions_dispute_id_disputes_id_fk" FOREIGN KEY ("dispute_id") REFERENCES "public"."disputes"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "disputes" ADD CONSTRAINT "disputes_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "disputes" ADD CONSTRAINT "disputes_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "quotes" ADD CONSTRAINT "quotes_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "disputes_state_id" ON "disputes" USING btree ("state","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "disputes_user" ON "disputes" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "quotes_user" ON "quotes" USING btree ("user_id","created_at");
--> statement-breakpoint
CREATE TRIGGER dispute_decisions_append_only BEFORE UPDATE OR DELETE ON dispute_decisions
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
