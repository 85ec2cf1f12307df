ALTER TABLE "leases" DROP CONSTRAINT "leases_fence_unique";--> statement-breakpoint
ALTER TABLE "job_events" DROP CONSTRAINT "job_events_job_id_jobs_id_fk";
--> statement-breakpoint
ALTER TABLE "leases" DROP CONSTRAINT "leases_job_id_jobs_id_fk";
--> statement-breakpoint
ALTER TABLE "leases" DROP CONSTRAINT "leases_provider_id_providers_id_fk";
--> statement-breakpoint
DROP INDEX "jobs_unfinished";--> statement-breakpoint
CREATE INDEX "jobs_queue_timeout" ON "jobs" USING btree ("queued_at") WHERE "jobs"."state" = 'queued' and "jobs"."queue_timeout_seconds" is not null;