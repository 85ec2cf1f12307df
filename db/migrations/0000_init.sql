CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"secret_hash" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"used_at" timestamp (3) with time zone,
	"last_used_at" timestamp (3) with time zone,
	CONSTRAINT "api_keys_kind" CHECK ("api_keys"."kind" in ('user', 'join'))
);
--> statement-breakpoint
CREATE TABLE "artifacts" (
	"id" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"lease_id" text NOT NULL,
	"path" text NOT NULL,
	"size_bytes" bigint NOT NULL,
	"sha256" text NOT NULL,
	"blob_key" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "artifacts_lease_path" UNIQUE("lease_id","path"),
	CONSTRAINT "artifacts_size" CHECK ("artifacts"."size_bytes" >= 0)
);
--> statement-breakpoint
CREATE TABLE "gpus" (
	"id" text PRIMARY KEY NOT NULL,
	"provider_id" text NOT NULL,
	"uuid" text NOT NULL,
	"index" integer NOT NULL,
	"name" text NOT NULL,
	"memory_mib" integer NOT NULL,
	"driver_version" text,
	"compute_capability" text,
	"simulated" boolean NOT NULL,
	"present" boolean DEFAULT true NOT NULL,
	"lease_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "gpus_provider_uuid" UNIQUE("provider_id","uuid"),
	CONSTRAINT "gpus_memory" CHECK ("gpus"."memory_mib" > 0)
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"user_id" text NOT NULL,
	"key" text NOT NULL,
	"request_hash" text NOT NULL,
	"status" integer NOT NULL,
	"reply" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "job_events" (
	"job_id" text NOT NULL,
	"seq" integer NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"type" text NOT NULL,
	"message" text NOT NULL,
	"state" text NOT NULL,
	"lease_id" text,
	"data" jsonb NOT NULL,
	CONSTRAINT "job_events_job_id_seq_pk" PRIMARY KEY("job_id","seq")
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"name" text NOT NULL,
	"state" text DEFAULT 'queued' NOT NULL,
	"image" text NOT NULL,
	"command" jsonb,
	"env" jsonb NOT NULL,
	"gpus" integer NOT NULL,
	"gpu_models" text[] NOT NULL,
	"min_vram_mib" integer NOT NULL,
	"cpu_milli" integer NOT NULL,
	"memory_mib" integer NOT NULL,
	"time_limit_seconds" integer NOT NULL,
	"queue_timeout_seconds" integer,
	"max_price_per_hour_micros" bigint NOT NULL,
	"hold_micros" bigint NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"lease_id" text,
	"cancel_requested_at" timestamp (3) with time zone,
	"end_reason" text,
	"end_detail" text,
	"exit_code" integer,
	"event_seq" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"queued_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"not_before" timestamp (3) with time zone,
	"started_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	CONSTRAINT "jobs_state" CHECK ("jobs"."state" in ('queued', 'preparing', 'running', 'finishing', 'succeeded', 'failed', 'cancelled', 'expired')),
	CONSTRAINT "jobs_hold" CHECK ("jobs"."hold_micros" >= 0 and "jobs"."max_price_per_hour_micros" >= 0),
	CONSTRAINT "jobs_end" CHECK (("jobs"."finished_at" is null) = ("jobs"."end_reason" is null))
);
--> statement-breakpoint
CREATE TABLE "leases" (
	"id" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"provider_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"fence" bigserial NOT NULL,
	"state" text DEFAULT 'offered' NOT NULL,
	"desired" text DEFAULT 'run' NOT NULL,
	"desired_seen_at" timestamp (3) with time zone,
	"task_state" text,
	"progress" jsonb,
	"price_per_hour_micros" bigint NOT NULL,
	"gpu_ids" text[] NOT NULL,
	"cpu_milli" integer NOT NULL,
	"memory_mib" integer NOT NULL,
	"offered_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"accepted_at" timestamp (3) with time zone,
	"started_at" timestamp (3) with time zone,
	"exited_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"released_at" timestamp (3) with time zone,
	"end_reason" text,
	"end_detail" text,
	"exit_code" integer,
	"image_digest" text,
	"next_log_seq" integer DEFAULT 0 NOT NULL,
	"log_bytes" bigint DEFAULT 0 NOT NULL,
	"billed_ms" bigint DEFAULT 0 NOT NULL,
	"cost_micros" bigint DEFAULT '0' NOT NULL,
	"earned_micros" bigint DEFAULT '0' NOT NULL,
	CONSTRAINT "leases_fence_unique" UNIQUE("fence"),
	CONSTRAINT "leases_state" CHECK ("leases"."state" in ('offered', 'active', 'releasing', 'released', 'rejected', 'withdrawn', 'expired', 'lost')),
	CONSTRAINT "leases_desired" CHECK ("leases"."desired" in ('run', 'stop')),
	CONSTRAINT "leases_cost" CHECK ("leases"."cost_micros" >= 0 and "leases"."earned_micros" between 0 and "leases"."cost_micros")
);
--> statement-breakpoint
CREATE TABLE "ledger_accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"owner_id" text,
	"credits_micros" bigint DEFAULT '0' NOT NULL,
	"debits_micros" bigint DEFAULT '0' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "ledger_accounts_kind" CHECK ("ledger_accounts"."kind" in ('renter_available', 'renter_held', 'provider_payable', 'platform_fees', 'promotions')),
	CONSTRAINT "ledger_accounts_totals" CHECK ("ledger_accounts"."credits_micros" >= 0 and "ledger_accounts"."debits_micros" >= 0),
	CONSTRAINT "ledger_accounts_floor" CHECK (not ("ledger_accounts"."kind" in ('renter_available', 'renter_held', 'provider_payable', 'platform_fees')) or "ledger_accounts"."credits_micros" >= "ledger_accounts"."debits_micros")
);
--> statement-breakpoint
CREATE TABLE "ledger_transfers" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"debit_account_id" text NOT NULL,
	"credit_account_id" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"job_id" text,
	"lease_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "ledger_transfers_kind" CHECK ("ledger_transfers"."kind" in ('grant', 'hold', 'earn', 'fee', 'release')),
	CONSTRAINT "ledger_transfers_amount" CHECK ("ledger_transfers"."amount_micros" > 0),
	CONSTRAINT "ledger_transfers_two_accounts" CHECK ("ledger_transfers"."debit_account_id" <> "ledger_transfers"."credit_account_id")
);
--> statement-breakpoint
CREATE TABLE "log_chunks" (
	"lease_id" text NOT NULL,
	"seq" integer NOT NULL,
	"stream" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"data" "bytea" NOT NULL,
	CONSTRAINT "log_chunks_lease_id_seq_pk" PRIMARY KEY("lease_id","seq"),
	CONSTRAINT "log_chunks_stream" CHECK ("log_chunks"."stream" in ('stdout', 'stderr', 'system'))
);
--> statement-breakpoint
CREATE TABLE "payments" (
	"id" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"user_id" text NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"currency" text NOT NULL,
	"hold_micros" bigint NOT NULL,
	"amount_micros" bigint DEFAULT '0' NOT NULL,
	"failure" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "payments_jobId_unique" UNIQUE("job_id"),
	CONSTRAINT "payments_state" CHECK ("payments"."state" in ('pending', 'succeeded', 'failed', 'refunded', 'disputed')),
	CONSTRAINT "payments_amount" CHECK ("payments"."amount_micros" between 0 and "payments"."hold_micros")
);
--> statement-breakpoint
CREATE TABLE "profiles" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"display_name" text NOT NULL,
	"default_max_price_per_hour_micros" bigint,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "profiles_userId_unique" UNIQUE("user_id"),
	CONSTRAINT "profiles_default_max_price" CHECK ("profiles"."default_max_price_per_hour_micros" >= 0)
);
--> statement-breakpoint
CREATE TABLE "providers" (
	"id" text PRIMARY KEY NOT NULL,
	"owner_id" text NOT NULL,
	"name" text NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"credential_hash" text NOT NULL,
	"session" bigint DEFAULT 0 NOT NULL,
	"agent_version" text DEFAULT '' NOT NULL,
	"hostname" text DEFAULT '' NOT NULL,
	"os" text DEFAULT '' NOT NULL,
	"arch" text DEFAULT '' NOT NULL,
	"cpu_model" text DEFAULT '' NOT NULL,
	"cpu_milli" integer DEFAULT 0 NOT NULL,
	"memory_mib" integer DEFAULT 0 NOT NULL,
	"disk_free_mib" integer DEFAULT 0 NOT NULL,
	"docker_version" text DEFAULT '' NOT NULL,
	"price_per_gpu_hour_micros" bigint DEFAULT '0' NOT NULL,
	"price_per_cpu_hour_micros" bigint DEFAULT '0' NOT NULL,
	"last_seen_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "providers_state" CHECK ("providers"."state" in ('pending', 'online', 'draining', 'offline', 'suspended')),
	CONSTRAINT "providers_prices" CHECK ("providers"."price_per_gpu_hour_micros" >= 0 and "providers"."price_per_cpu_hour_micros" >= 0)
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" text PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"role" text DEFAULT 'member' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "users_email_unique" UNIQUE("email"),
	CONSTRAINT "users_role" CHECK ("users"."role" in ('member', 'operator'))
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "artifacts" ADD CONSTRAINT "artifacts_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "artifacts" ADD CONSTRAINT "artifacts_lease_id_leases_id_fk" FOREIGN KEY ("lease_id") REFERENCES "public"."leases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "gpus" ADD CONSTRAINT "gpus_provider_id_providers_id_fk" FOREIGN KEY ("provider_id") REFERENCES "public"."providers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_events" ADD CONSTRAINT "job_events_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "leases" ADD CONSTRAINT "leases_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "leases" ADD CONSTRAINT "leases_provider_id_providers_id_fk" FOREIGN KEY ("provider_id") REFERENCES "public"."providers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_accounts" ADD CONSTRAINT "ledger_accounts_owner_id_users_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ADD CONSTRAINT "ledger_transfers_debit_account_id_ledger_accounts_id_fk" FOREIGN KEY ("debit_account_id") REFERENCES "public"."ledger_accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ADD CONSTRAINT "ledger_transfers_credit_account_id_ledger_accounts_id_fk" FOREIGN KEY ("credit_account_id") REFERENCES "public"."ledger_accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ADD CONSTRAINT "ledger_transfers_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ledger_transfers" ADD CONSTRAINT "ledger_transfers_lease_id_leases_id_fk" FOREIGN KEY ("lease_id") REFERENCES "public"."leases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "log_chunks" ADD CONSTRAINT "log_chunks_lease_id_leases_id_fk" FOREIGN KEY ("lease_id") REFERENCES "public"."leases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payments" ADD CONSTRAINT "payments_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payments" ADD CONSTRAINT "payments_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "profiles" ADD CONSTRAINT "profiles_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "providers" ADD CONSTRAINT "providers_owner_id_users_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_user" ON "api_keys" USING btree ("user_id","id");--> statement-breakpoint
CREATE INDEX "artifacts_job" ON "artifacts" USING btree ("job_id");--> statement-breakpoint
CREATE INDEX "gpus_lease" ON "gpus" USING btree ("lease_id");--> statement-breakpoint
CREATE UNIQUE INDEX "idempotency_keys_owner" ON "idempotency_keys" USING btree ("user_id","key");--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_user_name" ON "jobs" USING btree ("user_id","name");--> statement-breakpoint
CREATE INDEX "jobs_queue" ON "jobs" USING btree ("queued_at","id") WHERE "jobs"."state" = 'queued';--> statement-breakpoint
CREATE INDEX "jobs_user" ON "jobs" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "jobs_unfinished" ON "jobs" USING btree ("state") WHERE "jobs"."finished_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "leases_one_open" ON "leases" USING btree ("job_id") WHERE "leases"."state" in ('offered', 'active');--> statement-breakpoint
CREATE UNIQUE INDEX "leases_job_attempt" ON "leases" USING btree ("job_id","attempt");--> statement-breakpoint
CREATE INDEX "leases_open_by_provider" ON "leases" USING btree ("provider_id") WHERE "leases"."state" in ('offered', 'active', 'releasing');--> statement-breakpoint
CREATE INDEX "leases_expiry" ON "leases" USING btree ("expires_at") WHERE "leases"."state" in ('offered', 'active', 'releasing');--> statement-breakpoint
CREATE INDEX "leases_provider" ON "leases" USING btree ("provider_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "ledger_accounts_owned" ON "ledger_accounts" USING btree ("kind","owner_id");--> statement-breakpoint
CREATE UNIQUE INDEX "ledger_accounts_of_market" ON "ledger_accounts" USING btree ("kind") WHERE "ledger_accounts"."owner_id" is null;--> statement-breakpoint
CREATE INDEX "ledger_transfers_debit" ON "ledger_transfers" USING btree ("debit_account_id");--> statement-breakpoint
CREATE INDEX "ledger_transfers_credit" ON "ledger_transfers" USING btree ("credit_account_id");--> statement-breakpoint
CREATE INDEX "ledger_transfers_job" ON "ledger_transfers" USING btree ("job_id");--> statement-breakpoint
CREATE INDEX "payments_user" ON "payments" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "payments_pending" ON "payments" USING btree ("job_id") WHERE "payments"."state" = 'pending';--> statement-breakpoint
CREATE INDEX "providers_owner" ON "providers" USING btree ("owner_id","id");--> statement-breakpoint
CREATE INDEX "providers_online" ON "providers" USING btree ("id") WHERE "providers"."state" = 'online';