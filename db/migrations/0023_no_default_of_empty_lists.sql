ALTER TABLE "jobs" ALTER COLUMN "network_allow" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "payout_accounts" ALTER COLUMN "missing" DROP DEFAULT;