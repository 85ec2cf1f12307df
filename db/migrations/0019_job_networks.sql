ALTER TABLE "jobs" ADD COLUMN "network_mode" text DEFAULT 'none' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "network_allow" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "networks" text[] DEFAULT '{"none"}' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "network_note" text DEFAULT '' NOT NULL;