CREATE TABLE "payout_accounts" (
	"user_id" text PRIMARY KEY NOT NULL,
	"account_id" text,
	"takes_transfers" boolean DEFAULT false NOT NULL,
	"pays_out" boolean DEFAULT false NOT NULL,
	"details_submitted" boolean DEFAULT false NOT NULL,
	"missing" text[] DEFAULT '{}' NOT NULL,
	"disabled_reason" text,
	"bank_failure" text,
	"banked_micros" bigint DEFAULT '0' NOT NULL,
	"schedule" text DEFAULT 'weekly' NOT NULL,
	"minimum_micros" bigint,
	"next_payout_at" timestamp (3) with time zone,
	"failures" integer DEFAULT 0 NOT NULL,
	"read_again_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "payout_accounts_accountId_unique" UNIQUE("account_id"),
	CONSTRAINT "payout_accounts_schedule" CHECK ("payout_accounts"."schedule" in ('daily', 'weekly', 'manual')),
	CONSTRAINT "payout_accounts_minimum" CHECK ("payout_accounts"."minimum_micros" is null or "payout_accounts"."minimum_micros" > 0)
);
--> statement-breakpoint
CREATE TABLE "payout_reversals" (
	"id" text PRIMARY KEY NOT NULL,
	"payout_id" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "payout_reversals_amount" CHECK ("payout_reversals"."amount_micros" > 0)
);
--> statement-breakpoint
CREATE TABLE "payouts" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"method" text NOT NULL,
	"state" text NOT NULL,
	"amount_micros" bigint NOT NULL,
	"returned_micros" bigint DEFAULT '0' NOT NULL,
	"account_id" text,
	"transfer_id" text,
	"reference" text,
	"recorded_by" text,
	"failure_code" text,
	"failure_message" text,
	"attempts" integer DEFAULT 0 NOT NULL,
	"not_before" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"sent_at" timestamp (3) with time zone,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "payouts_transferId_unique" UNIQUE("transfer_id"),
	CONSTRAINT "payouts_method" CHECK ("payouts"."method" in ('stripe', 'manual')),
	CONSTRAINT "payouts_state" CHECK ("payouts"."state" in ('created', 'sending', 'sent', 'paid', 'failed', 'reversed')),
	CONSTRAINT "payouts_amount" CHECK ("payouts"."amount_micros" > 0 and ("payouts"."method" = 'manual' or "payouts"."amount_micros" % 10000 = 0)),
	CONSTRAINT "payouts_returned" CHECK ("payouts"."returned_micros" between 0 and "payouts"."amount_micros"),
	CONSTRAINT "payouts_destination" CHECK (case "payouts"."method" when 'stripe' then "payouts"."account_id" is not null
        else "payouts"."reference" is not null and "payouts"."recorded_by" is not null and "payouts"."transfer_id" is null end),
	CONSTRAINT "payouts_sent" CHECK ("payouts"."method" = 'manual' or (("payouts"."state" in ('sent', 'paid', 'reversed')) = ("payouts"."transfer_id" is not null)))
);
--> statement-breakpoint
DROP INDEX "ledger_transfers_debit";--> statement-breakpoint
DROP INDEX "ledger_transfers_credit";--> statement-breakpoint
ALTER TABLE "payout_accounts" ADD CONSTRAINT "payout_accounts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payout_reversals" ADD CONSTRAINT "payout_reversals_payout_id_payouts_id_fk" FOREIGN KEY ("payout_id") REFERENCES "public"."payouts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payouts" ADD CONSTRAINT "payouts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "payouts" ADD CONSTRAINT "payouts_recorded_by_users_id_fk" FOREIGN KEY ("recorded_by") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "payout_accounts_due" ON "payout_accounts" USING btree ("next_payout_at") WHERE "payout_accounts"."next_payout_at" is not null;--> statement-breakpoint
CREATE INDEX "payout_accounts_read" ON "payout_accounts" USING btree ("read_again_at") WHERE "payout_accounts"."account_id" is not null;--> statement-breakpoint
CREATE INDEX "payout_reversals_payout" ON "payout_reversals" USING btree ("payout_id");--> statement-breakpoint
CREATE UNIQUE INDEX "payouts_one_at_a_time" ON "payouts" USING btree ("user_id") WHERE "payouts"."state" in ('created', 'sending');--> statement-breakpoint
CREATE INDEX "payouts_user" ON "payouts" USING btree ("user_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "payouts_due" ON "payouts" USING btree ("not_before") WHERE "payouts"."state" in ('created', 'sending', 'sent');--> statement-breakpoint
CREATE INDEX "payments_disputed" ON "payments" USING btree ("job_id") WHERE "payments"."state" = 'disputed';--> statement-breakpoint
CREATE INDEX "ledger_transfers_debit" ON "ledger_transfers" USING btree ("debit_account_id","created_at");--> statement-breakpoint
CREATE INDEX "ledger_transfers_credit" ON "ledger_transfers" USING btree ("credit_account_id","created_at");