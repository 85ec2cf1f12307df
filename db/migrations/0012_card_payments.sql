CREATE TABLE "billing_accounts" (
	"user_id" text PRIMARY KEY NOT NULL,
	"mode" text DEFAULT 'prepaid' NOT NULL,
	"customer_id" text,
	"card_id" text,
	"card_brand" text,
	"card_last4" text,
	"credit_limit_micros" bigint DEFAULT '0' NOT NULL,
	"frozen_by" text,
	"auto_threshold_micros" bigint,
	"auto_amount_micros" bigint,
	"auto_ceiling_micros" bigint,
	"auto_failures" integer DEFAULT 0 NOT NULL,
	"auto_not_before" timestamp (3) with time zone,
	"auto_paused_because" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "billing_accounts_customerId_unique" UNIQUE("customer_id"),
	CONSTRAINT "billing_accounts_mode" CHECK ("billing_accounts"."mode" in ('prepaid', 'per_job')),
	CONSTRAINT "billing_accounts_frozen" CHECK ("billing_accounts"."frozen_by" is null or "billing_accounts"."frozen_by" in ('dispute', 'unpaid')),
	CONSTRAINT "billing_accounts_credit" CHECK ("billing_accounts"."credit_limit_micros" >= 0),
	CONSTRAINT "billing_accounts_auto" CHECK (("billing_accounts"."auto_threshold_micros" is null and "billing_accounts"."auto_amount_micros" is null and "billing_accounts"."auto_ceiling_micros" is null)
        or ("billing_accounts"."auto_threshold_micros" > 0 and "billing_accounts"."auto_amount_micros" > 0 and "billing_accounts"."auto_ceiling_micros" >= "billing_accounts"."auto_amount_micros"))
);
--> statement-breakpoint
CREATE TABLE "card_disputes" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"top_up_id" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"reason" text NOT NULL,
	"evidence_due_by" timestamp (3) with time zone,
	"evidence_sent_at" timestamp (3) with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"not_before" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"closed_at" timestamp (3) with time zone,
	CONSTRAINT "card_disputes_state" CHECK ("card_disputes"."state" in ('open', 'won', 'lost')),
	CONSTRAINT "card_disputes_amount" CHECK ("card_disputes"."amount_micros" > 0)
);
--> statement-breakpoint
CREATE TABLE "card_refunds" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"top_up_id" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"stripe_refund_id" text,
	"failure" text,
	"attempts" integer DEFAULT 0 NOT NULL,
	"not_before" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "card_refunds_stripeRefundId_unique" UNIQUE("stripe_refund_id"),
	CONSTRAINT "card_refunds_state" CHECK ("card_refunds"."state" in ('pending', 'succeeded', 'failed')),
	CONSTRAINT "card_refunds_amount" CHECK ("card_refunds"."amount_micros" > 0 and "card_refunds"."amount_micros" % 10000 = 0)
);
--> statement-breakpoint
CREATE TABLE "statement_lines" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"source_id" text,
	"amount_micros" bigint NOT NULL,
	"fee_micros" bigint NOT NULL,
	"happened_at" timestamp (3) with time zone NOT NULL,
	"imported_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "stripe_events" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"object_id" text,
	"account" text,
	"state" text DEFAULT 'waiting' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"not_before" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"failure" text,
	"happened_at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"done_at" timestamp (3) with time zone,
	CONSTRAINT "stripe_events_state" CHECK ("stripe_events"."state" in ('waiting', 'done', 'ignored', 'parked'))
);
--> statement-breakpoint
CREATE TABLE "top_ups" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"method" text NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"amount_micros" bigint NOT NULL,
	"request_key" text,
	"card_id" text,
	"checkout_id" text,
	"checkout_url" text,
	"intent_id" text,
	"charge_id" text,
	"action_url" text,
	"failure_code" text,
	"failure_message" text,
	"attempts" integer DEFAULT 0 NOT NULL,
	"not_before" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "top_ups_checkoutId_unique" UNIQUE("checkout_id"),
	CONSTRAINT "top_ups_intentId_unique" UNIQUE("intent_id"),
	CONSTRAINT "top_ups_chargeId_unique" UNIQUE("charge_id"),
	CONSTRAINT "top_ups_method" CHECK ("top_ups"."method" in ('checkout', 'element', 'automatic', 'per_job')),
	CONSTRAINT "top_ups_state" CHECK ("top_ups"."state" in ('open', 'needs_action', 'succeeded', 'failed', 'canceled')),
	CONSTRAINT "top_ups_amount" CHECK ("top_ups"."amount_micros" > 0 and "top_ups"."amount_micros" % 10000 = 0)
);
--> statement-breakpoint
ALTER TABLE "payments" ADD COLUMN "top_up_id" text;--> statement-breakpoint
ALTER TABLE "billing_accounts" ADD CONSTRAINT "billing_accounts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "card_disputes" ADD CONSTRAINT "card_disputes_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "card_disputes" ADD CONSTRAINT "card_disputes_top_up_id_top_ups_id_fk" FOREIGN KEY ("top_up_id") REFERENCES "public"."top_ups"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "card_refunds" ADD CONSTRAINT "card_refunds_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "card_refunds" ADD CONSTRAINT "card_refunds_top_up_id_top_ups_id_fk" FOREIGN KEY ("top_up_id") REFERENCES "public"."top_ups"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "top_ups" ADD CONSTRAINT "top_ups_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "card_disputes_user" ON "card_disputes" USING btree ("user_id","id");--> statement-breakpoint
CREATE INDEX "card_disputes_open" ON "card_disputes" USING btree ("not_before") WHERE "card_disputes"."state" = 'open';--> statement-breakpoint
CREATE INDEX "card_refunds_user" ON "card_refunds" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "card_refunds_top_up" ON "card_refunds" USING btree ("top_up_id");--> statement-breakpoint
CREATE INDEX "card_refunds_due" ON "card_refunds" USING btree ("not_before") WHERE "card_refunds"."state" = 'pending';--> statement-breakpoint
CREATE INDEX "statement_lines_source" ON "statement_lines" USING btree ("source_id");--> statement-breakpoint
CREATE INDEX "stripe_events_waiting" ON "stripe_events" USING btree ("not_before") WHERE "stripe_events"."state" = 'waiting';--> statement-breakpoint
CREATE INDEX "stripe_events_parked" ON "stripe_events" USING btree ("id") WHERE "stripe_events"."state" = 'parked';--> statement-breakpoint
CREATE UNIQUE INDEX "top_ups_request" ON "top_ups" USING btree ("user_id","request_key");--> statement-breakpoint
CREATE UNIQUE INDEX "top_ups_one_by_itself" ON "top_ups" USING btree ("user_id","method") WHERE "top_ups"."method" in ('automatic', 'per_job') and "top_ups"."state" in ('open', 'needs_action');--> statement-breakpoint
CREATE INDEX "top_ups_user" ON "top_ups" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "top_ups_due" ON "top_ups" USING btree ("not_before") WHERE "top_ups"."state" in ('open', 'needs_action');--> statement-breakpoint
ALTER TABLE "payments" ADD CONSTRAINT "payments_top_up_id_top_ups_id_fk" FOREIGN KEY ("top_up_id") REFERENCES "public"."top_ups"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "payments_of_top_up" ON "payments" USING btree ("top_up_id") WHERE "payments"."top_up_id" is not null;