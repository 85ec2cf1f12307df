ALTER TABLE "providers" ADD COLUMN "disk_limited" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "disk_note" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "providers" ADD COLUMN "sandbox" text DEFAULT 'containers' NOT NULL;