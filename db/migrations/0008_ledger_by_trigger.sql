ALTER TABLE "ledger_transfers" DROP CONSTRAINT "ledger_transfers_debit_account_id_ledger_accounts_id_fk";
--> statement-breakpoint
ALTER TABLE "ledger_transfers" DROP CONSTRAINT "ledger_transfers_credit_account_id_ledger_accounts_id_fk";
--> statement-breakpoint
ALTER TABLE "ledger_transfers" DROP CONSTRAINT "ledger_transfers_job_id_jobs_id_fk";
--> statement-breakpoint
ALTER TABLE "ledger_transfers" DROP CONSTRAINT "ledger_transfers_lease_id_leases_id_fk";
--> statement-breakpoint
DROP INDEX "ledger_transfers_job";--> statement-breakpoint
CREATE UNIQUE INDEX "ledger_transfers_one_release" ON "ledger_transfers" USING btree ("job_id") WHERE "ledger_transfers"."kind" = 'release';--> statement-breakpoint
CREATE UNIQUE INDEX "ledger_transfers_one_bill" ON "ledger_transfers" USING btree ("lease_id","kind") WHERE "ledger_transfers"."kind" in ('earn', 'fee');--> statement-breakpoint
CREATE INDEX "ledger_transfers_job" ON "ledger_transfers" USING btree ("job_id") WHERE "ledger_transfers"."job_id" is not null;--> statement-breakpoint
-- A transfer and its effect are one thing: whatever a statement has inserted is added to the accounts, here and
-- nowhere else. The accounts are locked in the order of their ids, so that transactions which share some wait for
-- each other and never in a circle.
CREATE FUNCTION move_ledger_totals() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  found_accounts integer;
  named_accounts integer;
  short record;
  excess record;
  cause text;
BEGIN
  PERFORM FROM ledger_accounts WHERE id IN (SELECT debit_account_id FROM posted UNION SELECT credit_account_id FROM posted)
    ORDER BY id FOR NO KEY UPDATE;
  GET DIAGNOSTICS found_accounts = ROW_COUNT;
  SELECT count(*) INTO named_accounts
    FROM (SELECT debit_account_id FROM posted UNION SELECT credit_account_id FROM posted) AS named;
  IF found_accounts <> named_accounts THEN
    RAISE EXCEPTION 'a transfer names an account that is not there'
      USING ERRCODE = 'foreign_key_violation', TABLE = 'ledger_transfers', CONSTRAINT = 'ledger_transfers_accounts';
  END IF;

  -- The floor is the constraint ledger_accounts_floor. This says beforehand whose it is, and by which cause.
  SELECT a.id, a.kind, a.credits_micros - a.debits_micros AS available, moved.debit - moved.credit AS needed INTO short
    FROM ledger_accounts a JOIN (
      SELECT account_id, sum(credit) AS credit, sum(debit) AS debit FROM (
        SELECT credit_account_id AS account_id, amount_micros AS credit, 0 AS debit FROM posted
        UNION ALL SELECT debit_account_id, 0, amount_micros FROM posted
      ) AS sides GROUP BY account_id
    ) AS moved ON moved.account_id = a.id
    WHERE a.credits_micros + moved.credit < a.debits_micros + moved.debit
      AND a.kind NOT IN ('renter_debt', 'provider_debt', 'promotions', 'refunds', 'stripe_clearing', 'stripe_fees', 'manual_clearing')
    ORDER BY a.id LIMIT 1;
  IF FOUND THEN
    SELECT id INTO cause FROM (
      SELECT id, debit_account_id,
        sum(CASE WHEN debit_account_id = short.id THEN amount_micros ELSE -amount_micros END) OVER (ORDER BY id) AS used
      FROM posted WHERE short.id IN (debit_account_id, credit_account_id)
    ) AS running WHERE debit_account_id = short.id AND used > short.available ORDER BY id LIMIT 1;
    RAISE EXCEPTION 'account % has % of % micros', short.id, short.available, short.needed
      USING ERRCODE = 'check_violation', TABLE = 'ledger_accounts', CONSTRAINT = 'ledger_accounts_floor',
        DETAIL = json_build_object('account', short.id, 'kind', short.kind, 'available', short.available::text,
          'needed', short.needed::text, 'cause', cause)::text;
  END IF;

  UPDATE ledger_accounts a
    SET credits_micros = a.credits_micros + moved.credit, debits_micros = a.debits_micros + moved.debit
    FROM (
      SELECT account_id, sum(credit) AS credit, sum(debit) AS debit FROM (
        SELECT credit_account_id AS account_id, amount_micros AS credit, 0 AS debit FROM posted
        UNION ALL SELECT debit_account_id, 0, amount_micros FROM posted
      ) AS sides GROUP BY account_id
    ) AS moved WHERE moved.account_id = a.id;

  -- A job pays with what was held for it and never with what is held for another one. Looked at after the lock on
  -- the account of held money, so no other transaction takes out of it at the same time.
  IF EXISTS (SELECT FROM posted WHERE kind IN ('earn', 'fee', 'release') AND job_id IS NOT NULL) THEN
    SELECT t.job_id, sum(CASE WHEN t.kind = 'hold' THEN -t.amount_micros ELSE t.amount_micros END) AS micros INTO excess
      FROM ledger_transfers t
      WHERE t.job_id IN (SELECT job_id FROM posted WHERE kind IN ('earn', 'fee', 'release'))
        AND t.kind IN ('hold', 'earn', 'fee', 'release')
      GROUP BY t.job_id HAVING sum(CASE WHEN t.kind = 'hold' THEN -t.amount_micros ELSE t.amount_micros END) > 0 LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION '% takes % micros more out of its hold than are in it', excess.job_id, excess.micros
        USING ERRCODE = 'check_violation', TABLE = 'ledger_transfers', CONSTRAINT = 'ledger_transfers_within_hold';
    END IF;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER ledger_transfers_move AFTER INSERT ON ledger_transfers
  REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION move_ledger_totals();
--> statement-breakpoint
-- Totals only grow, and only by transfers: a direct update is the outermost trigger and is refused.
CREATE OR REPLACE FUNCTION refuse_shrinking_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() < 2 OR NEW.credits_micros < OLD.credits_micros OR NEW.debits_micros < OLD.debits_micros
    OR NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.owner_id IS DISTINCT FROM OLD.owner_id THEN
    RAISE EXCEPTION 'ledger_accounts are changed by transfers alone' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE FUNCTION refuse_opening_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.credits_micros <> 0 OR NEW.debits_micros <> 0 THEN
    RAISE EXCEPTION 'an account begins empty' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE TRIGGER ledger_accounts_begin_empty BEFORE INSERT ON ledger_accounts
  FOR EACH ROW EXECUTE FUNCTION refuse_opening_balance();
--> statement-breakpoint
CREATE TRIGGER ledger_accounts_no_truncate BEFORE TRUNCATE ON ledger_accounts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
--> statement-breakpoint
-- What was settled stays settled, for the same amount out of the same hold.
CREATE FUNCTION refuse_second_settlement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.settled_at IS DISTINCT FROM OLD.settled_at OR NEW.state = 'pending'
    OR NEW.amount_micros <> OLD.amount_micros OR NEW.hold_micros <> OLD.hold_micros OR NEW.job_id <> OLD.job_id THEN
    RAISE EXCEPTION 'the payment of % is settled', OLD.job_id
      USING ERRCODE = 'restrict_violation', TABLE = 'payments', CONSTRAINT = 'payments_settled_once';
  END IF;
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE TRIGGER payments_settled_once BEFORE UPDATE ON payments
  FOR EACH ROW WHEN (OLD.settled_at IS NOT NULL) EXECUTE FUNCTION refuse_second_settlement();
