CREATE TABLE "budget_events" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"budget_id" text NOT NULL,
	"user_id" text NOT NULL,
	"type" text NOT NULL,
	"percent" integer NOT NULL,
	"used_micros" bigint NOT NULL,
	"amount_micros" bigint NOT NULL,
	"message" text NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "budgets" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"scope" text NOT NULL,
	"api_key_id" text,
	"period" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"on_limit" text DEFAULT 'stop-new' NOT NULL,
	"reserved_micros" bigint DEFAULT '0' NOT NULL,
	"spent_micros" bigint DEFAULT '0' NOT NULL,
	"period_start" timestamp (3) with time zone NOT NULL,
	"warned_percent" integer DEFAULT 0 NOT NULL,
	"exhausted_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "budgets_scope" CHECK ("budgets"."scope" in ('account', 'api-key') and ("budgets"."scope" = 'api-key') = ("budgets"."api_key_id" is not null)),
	CONSTRAINT "budgets_period" CHECK ("budgets"."period" in ('month', 'total')),
	CONSTRAINT "budgets_action" CHECK ("budgets"."on_limit" in ('stop-new', 'also-stop-running')),
	CONSTRAINT "budgets_amounts" CHECK ("budgets"."amount_micros" >= 0 and "budgets"."reserved_micros" >= 0 and "budgets"."spent_micros" >= 0)
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "max_cost_micros" bigint;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "on_cost_limit" text DEFAULT 'checkpoint' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "api_key_id" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "budget_held_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "leases" ADD COLUMN "money_stop_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "budget_events" ADD CONSTRAINT "budget_events_budget_id_budgets_id_fk" FOREIGN KEY ("budget_id") REFERENCES "public"."budgets"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "budget_events" ADD CONSTRAINT "budget_events_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "budgets" ADD CONSTRAINT "budgets_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "budgets" ADD CONSTRAINT "budgets_api_key_id_api_keys_id_fk" FOREIGN KEY ("api_key_id") REFERENCES "public"."api_keys"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "budget_events_user" ON "budget_events" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "budget_events_budget" ON "budget_events" USING btree ("budget_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE UNIQUE INDEX "budgets_of_account" ON "budgets" USING btree ("user_id","period") WHERE "budgets"."api_key_id" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "budgets_of_key" ON "budgets" USING btree ("api_key_id","period") WHERE "budgets"."api_key_id" is not null;--> statement-breakpoint
CREATE INDEX "budgets_user" ON "budgets" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "jobs_held_by_budget" ON "jobs" USING btree ("user_id") WHERE "jobs"."budget_held_at" is not null;--> statement-breakpoint
CREATE INDEX "leases_money_stop" ON "leases" USING btree ("money_stop_at") WHERE "leases"."money_stop_at" is not null;--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_cost_limit" CHECK ("jobs"."max_cost_micros" > 0 and "jobs"."on_cost_limit" in ('checkpoint', 'stop'));