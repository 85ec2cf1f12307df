ALTER TABLE "jobs" ADD COLUMN "resumes_id" text;--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_resumes" ON "jobs" USING btree ("resumes_id") WHERE "jobs"."resumes_id" is not null;