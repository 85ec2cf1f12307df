CREATE TABLE "job_dependencies" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"job_id" text,
	"group_id" text,
	"on_job_id" text,
	"on_group_id" text,
	"condition" text NOT NULL,
	"met_at" timestamp (3) with time zone,
	CONSTRAINT "job_dependencies_condition" CHECK ("job_dependencies"."condition" in ('success', 'any', 'failure')),
	CONSTRAINT "job_dependencies_waits" CHECK (num_nonnulls("job_dependencies"."job_id", "job_dependencies"."group_id") = 1),
	CONSTRAINT "job_dependencies_on" CHECK (num_nonnulls("job_dependencies"."on_job_id", "job_dependencies"."on_group_id") = 1)
);
--> statement-breakpoint
CREATE TABLE "job_groups" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"size" integer NOT NULL,
	"max_parallel" integer,
	"spec" jsonb NOT NULL,
	"cancel_requested_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "job_groups_kind" CHECK ("job_groups"."kind" in ('array', 'gang')),
	CONSTRAINT "job_groups_size" CHECK ("job_groups"."size" >= 1 and "job_groups"."max_parallel" >= 1)
);
--> statement-breakpoint
CREATE TABLE "schedule_firings" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"schedule_id" text NOT NULL,
	"due_at" timestamp (3) with time zone NOT NULL,
	"fired_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"state" text NOT NULL,
	"detail" text,
	"job_id" text,
	CONSTRAINT "schedule_firings_state" CHECK ("schedule_firings"."state" in ('submitted', 'skipped', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "schedules" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"name" text NOT NULL,
	"state" text DEFAULT 'active' NOT NULL,
	"paused_because" text,
	"cron" text NOT NULL,
	"timezone" text NOT NULL,
	"overlap" text NOT NULL,
	"spec" jsonb NOT NULL,
	"next_at" timestamp (3) with time zone,
	"failures" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "schedules_state" CHECK ("schedules"."state" in ('active', 'paused')),
	CONSTRAINT "schedules_overlap" CHECK ("schedules"."overlap" in ('skip', 'allow')),
	CONSTRAINT "schedules_next" CHECK (("schedules"."state" = 'active') = ("schedules"."next_at" is not null))
);
--> statement-breakpoint
ALTER TABLE "job_dependencies" ADD CONSTRAINT "job_dependencies_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_dependencies" ADD CONSTRAINT "job_dependencies_group_id_job_groups_id_fk" FOREIGN KEY ("group_id") REFERENCES "public"."job_groups"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_dependencies" ADD CONSTRAINT "job_dependencies_on_job_id_jobs_id_fk" FOREIGN KEY ("on_job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_dependencies" ADD CONSTRAINT "job_dependencies_on_group_id_job_groups_id_fk" FOREIGN KEY ("on_group_id") REFERENCES "public"."job_groups"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_groups" ADD CONSTRAINT "job_groups_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "schedule_firings" ADD CONSTRAINT "schedule_firings_schedule_id_schedules_id_fk" FOREIGN KEY ("schedule_id") REFERENCES "public"."schedules"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "schedule_firings" ADD CONSTRAINT "schedule_firings_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "schedules" ADD CONSTRAINT "schedules_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "job_dependencies_job" ON "job_dependencies" USING btree ("job_id") WHERE "job_dependencies"."job_id" is not null;--> statement-breakpoint
CREATE INDEX "job_dependencies_group" ON "job_dependencies" USING btree ("group_id") WHERE "job_dependencies"."group_id" is not null;--> statement-breakpoint
CREATE INDEX "job_dependencies_on_job" ON "job_dependencies" USING btree ("on_job_id") WHERE "job_dependencies"."met_at" is null and "job_dependencies"."on_job_id" is not null;--> statement-breakpoint
CREATE INDEX "job_dependencies_on_group" ON "job_dependencies" USING btree ("on_group_id") WHERE "job_dependencies"."met_at" is null and "job_dependencies"."on_group_id" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "job_groups_user_name" ON "job_groups" USING btree ("user_id","name");--> statement-breakpoint
CREATE INDEX "job_groups_user" ON "job_groups" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "schedule_firings_due" ON "schedule_firings" USING btree ("schedule_id","due_at");--> statement-breakpoint
CREATE UNIQUE INDEX "schedules_user_name" ON "schedules" USING btree ("user_id","name");--> statement-breakpoint
CREATE INDEX "schedules_user" ON "schedules" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "schedules_due" ON "schedules" USING btree ("next_at") WHERE "schedules"."next_at" is not null;--> statement-breakpoint
CREATE INDEX "jobs_group_state" ON "jobs" USING btree ("group_id","state","group_index") WHERE "jobs"."group_id" is not null;