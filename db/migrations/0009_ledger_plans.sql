-- The same function in another form. A session plans the statements of a trigger once and keeps the plans; made on
-- small tables they would go on reading whole tables when those have grown. So every statement reaches its rows
-- through an index by a list of ids, and joins only lists, whatever the tables' sizes are believed to be.
CREATE OR REPLACE FUNCTION move_ledger_totals() RETURNS trigger LANGUAGE plpgsql
  SET enable_seqscan = off SET enable_nestloop = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  accounts text[];
  credits bigint[];
  debits bigint[];
  settled_jobs text[];
  found_accounts integer;
  short_account text;
  short record;
  excess record;
  cause text;
BEGIN
  SELECT array_agg(account_id ORDER BY account_id), array_agg(credit ORDER BY account_id), array_agg(debit ORDER BY account_id)
    INTO accounts, credits, debits FROM (
      SELECT account_id, sum(credit)::bigint AS credit, sum(debit)::bigint AS debit FROM (
        SELECT credit_account_id AS account_id, amount_micros AS credit, 0::bigint AS debit FROM posted
        UNION ALL SELECT debit_account_id, 0, amount_micros FROM posted
      ) AS sides GROUP BY account_id
    ) AS moved;
  IF accounts IS NULL THEN
    RETURN NULL;
  END IF;

  -- One after the other in the order of their ids: waiting for the first, a list locked as a whole would be checked
  -- again row by row against the whole list. The floor is the constraint ledger_accounts_floor; this finds beforehand
  -- whose it is, and by which cause.
  SELECT count(*), min(a.id) FILTER (WHERE a.credits_micros + moved.credit < a.debits_micros + moved.debit
      AND a.kind NOT IN ('renter_debt', 'provider_debt', 'promotions', 'refunds', 'stripe_clearing', 'stripe_fees', 'manual_clearing'))
    INTO found_accounts, short_account
    FROM unnest(accounts, credits, debits) AS moved (id, credit, debit)
    CROSS JOIN LATERAL (
      SELECT id, kind, credits_micros, debits_micros FROM ledger_accounts WHERE id = moved.id FOR NO KEY UPDATE
    ) AS a;
  IF found_accounts <> cardinality(accounts) THEN
    RAISE EXCEPTION 'a transfer names an account that is not there'
      USING ERRCODE = 'foreign_key_violation', TABLE = 'ledger_transfers', CONSTRAINT = 'ledger_transfers_accounts';
  END IF;
  IF short_account IS NOT NULL THEN
    SELECT id, kind, credits_micros - debits_micros AS available,
        debits[array_position(accounts, id)] - credits[array_position(accounts, id)] AS needed
      INTO short FROM ledger_accounts WHERE id = short_account;
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
    FROM unnest(accounts, credits, debits) AS moved (id, credit, debit)
    WHERE a.id = ANY (accounts) AND moved.id = a.id;

  -- A job pays with what was held for it and never with what is held for another one. Looked at after the lock on
  -- the account of held money, so no other transaction takes out of it at the same time.
  settled_jobs := ARRAY (SELECT DISTINCT job_id FROM posted WHERE kind IN ('earn', 'fee', 'release') AND job_id IS NOT NULL);
  IF cardinality(settled_jobs) > 0 THEN
    SELECT job_id, sum(CASE WHEN kind = 'hold' THEN -amount_micros ELSE amount_micros END) AS micros INTO excess
      FROM ledger_transfers
      WHERE job_id = ANY (settled_jobs) AND kind IN ('hold', 'earn', 'fee', 'release')
      GROUP BY job_id HAVING sum(CASE WHEN kind = 'hold' THEN -amount_micros ELSE amount_micros END) > 0 LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION '% takes % micros more out of its hold than are in it', excess.job_id, excess.micros
        USING ERRCODE = 'check_violation', TABLE = 'ledger_transfers', CONSTRAINT = 'ledger_transfers_within_hold';
    END IF;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- Asked for each row that a transfer moves: as a condition it costs nothing, as a function it cost as much as the update.
DROP TRIGGER ledger_accounts_totals_grow ON ledger_accounts;
--> statement-breakpoint
CREATE TRIGGER ledger_accounts_totals_grow BEFORE UPDATE ON ledger_accounts FOR EACH ROW
  WHEN (pg_trigger_depth() = 0 OR NEW.credits_micros < OLD.credits_micros OR NEW.debits_micros < OLD.debits_micros
    OR NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.owner_id IS DISTINCT FROM OLD.owner_id)
  EXECUTE FUNCTION refuse_shrinking_totals();
--> statement-breakpoint
CREATE OR REPLACE FUNCTION refuse_shrinking_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger_accounts are changed by transfers alone' USING ERRCODE = 'restrict_violation';
END
$$;
--> statement-breakpoint
-- Room beside each account for its next version, so that moving totals changes no index.
ALTER TABLE ledger_accounts SET (fillfactor = 50);
--> statement-breakpoint
-- A settled payment may still wait for its card; one that was paid does not become unpaid.
CREATE OR REPLACE FUNCTION refuse_second_settlement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.settled_at IS DISTINCT FROM OLD.settled_at OR NEW.amount_micros <> OLD.amount_micros
    OR NEW.hold_micros <> OLD.hold_micros OR NEW.job_id <> OLD.job_id
    OR (NEW.state = 'pending' AND OLD.state IN ('succeeded', 'refunded')) THEN
    RAISE EXCEPTION 'the payment of % is settled', OLD.job_id
      USING ERRCODE = 'restrict_violation', TABLE = 'payments', CONSTRAINT = 'payments_settled_once';
  END IF;
  RETURN NEW;
END
$$;
