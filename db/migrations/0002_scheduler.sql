ALTER TABLE "jobs" DROP CONSTRAINT "jobs_state";--> statement-breakpoint
ALTER TABLE "leases" DROP CONSTRAINT "leases_state";--> statement-breakpoint
DROP INDEX "gpus_lease";--> statement-breakpoint
DROP INDEX "leases_expiry";--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "gpu_milli" integer DEFAULT 1000 NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "max_vram_mib" integer;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "min_compute_capability" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "min_driver" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "min_cuda" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "disk_mib" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "regions" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ALTER COLUMN "regions" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "min_reliability_milli" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "min_tier" text DEFAULT 'community' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "class" text DEFAULT 'on-demand' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "priority" integer DEFAULT 50 NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "max_retries" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "retry_on_exit_codes" integer[];--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "never_retry_on_exit_codes" integer[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "lost_after_seconds" integer;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "stop_after_seconds" integer;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "replace_when_lost" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "keep_on_return" text DEFAULT 'replacement' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "checkpoint" jsonb;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "stop_grace_seconds" integer DEFAULT 10 NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "group_id" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "group_index" integer;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "group_vars" jsonb;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "schedule_id" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "checkpoint_id" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "user_failures" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "stop_reason" text;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "stop_by" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "gpu_milli" integer DEFAULT 1000 NOT NULL;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "disk_mib" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "spot" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "silent_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "silent_ms" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "resumed_from" text;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "spot_percent" integer DEFAULT 100 NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "shares_gpus" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "region" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "cuda_version" text;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "tier" text DEFAULT 'community' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "reliability_milli" integer DEFAULT 1000 NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "cached_images" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ALTER COLUMN "cached_images" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "availability" text DEFAULT 'open' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "availability_reason" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "availability_until" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "vacate_by" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "away_from" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "away_until" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "jobs_group" ON "jobs" USING btree ("group_id","group_index") WHERE "jobs"."group_id" is not null;--> statement-breakpoint
CREATE INDEX "leases_expiry" ON "leases" USING btree ("expires_at") WHERE "leases"."state" in ('offered', 'active', 'silent', 'releasing');--> statement-breakpoint
ALTER TABLE "gpus" DROP COLUMN "lease_id";--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_class" CHECK ("jobs"."class" in ('on-demand', 'spot'));--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_keep" CHECK ("jobs"."keep_on_return" in ('replacement', 'original', 'longest-running'));--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_tier" CHECK ("jobs"."min_tier" in ('community', 'verified', 'trusted'));--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_share" CHECK ("jobs"."gpu_milli" between 1 and 1000 and ("jobs"."gpu_milli" = 1000 or "jobs"."gpus" = 1));--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_state" CHECK ("jobs"."state" in ('blocked', 'queued', 'preparing', 'running', 'finishing', 'succeeded', 'failed', 'cancelled', 'expired'));--> statement-breakpoint
ALTER TABLE "leases" ADD CONSTRAINT "leases_state" CHECK ("leases"."state" in ('offered', 'active', 'silent', 'releasing', 'released', 'rejected', 'withdrawn', 'expired', 'lost'));--> statement-breakpoint
ALTER TABLE "providers" ADD CONSTRAINT "providers_availability" CHECK ("providers"."availability" in ('open', 'paused', 'draining'));--> statement-breakpoint
ALTER TABLE "providers" ADD CONSTRAINT "providers_tier" CHECK ("providers"."tier" in ('community', 'verified', 'trusted'));--> statement-breakpoint
ALTER TABLE "providers" ADD CONSTRAINT "providers_spot" CHECK ("providers"."spot_percent" between 1 and 100);