import { statementCsv } from '@computefabric/protocol/statement-csv';
import { statementPeriod } from '@computefabric/protocol/user-api/earnings';
import { orchestratorAs } from '@/lib/orchestrator.ts';
import { attachmentHeaders, plain, refusal } from '@/lib/passed-through.ts';
import { getSession } from '@/lib/session.ts';

/** Downloads what the viewer's machines earned in a month, as CSV or JSON. */
export async function GET(request: Request): Promise<Response> {
  const session = await getSession();
  if (!session) return plain(401, 'Sign in first.');
  const query = new URL(request.url).searchParams;
  const period = statementPeriod.safeParse(query.get('period'));
  if (!period.success) return plain(400, 'The period must be a month such as 2026-11.');
  const format = query.get('format') === 'json' ? 'json' : 'csv';
  try {
    const statement = await orchestratorAs(session).earnings.statement(period.data, {
      signal: request.signal,
    });
    const text = format === 'json' ? `${JSON.stringify(statement, null, 2)}\n` : statementCsv(statement);
    const type = format === 'json' ? 'application/json' : 'text/csv; charset=utf-8';
    return new Response(text, {
      headers: attachmentHeaders(`computefabric-earnings-${period.data}.${format}`, type),
    });
  } catch (thrown) {
    return refusal(thrown, request.signal);
  }
}
