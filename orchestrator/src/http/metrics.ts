import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The program's Prometheus metrics. Names begin with `computefabric_`, times are in seconds. */
export interface Metrics {
  /** Observes one answered request. */
  observeRequest(labels: { route: string; method: string; status: number }, seconds: number): void;
  /** Registers a counter with these labels; gives how to add one. */
  counter<const L extends string>(
    name: string,
    help: string,
    labels: readonly L[],
  ): (values: Record<L, string>) => void;
  /**
   * Registers a gauge that is read when the metrics are asked for. `read` gives the value for each value of
   * the label; what it does not name is gone from the metric.
   */
  gauge(name: string, help: string, label: string, read: () => Promise<Record<string, number>>): void;
  /** All metrics in Prometheus' text form, with its content type. */
  render(): Promise<{ contentType: string; body: string }>;
}

/** From one millisecond to longer than the longest poll. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: 'computefabric_http_request_duration_seconds',
    help: 'Time from the first byte of a request to the end of its answer, by route.',
    labelNames: ['route', 'method', 'status'],
    buckets: durationBuckets,
    registers: [registry],
  });
  return {
    observeRequest({ route, method, status }, seconds) {
      requests.observe({ route, method, status: String(status) }, seconds);
    },
    counter(name, help, labels) {
      const counter = new Counter({ name, help, labelNames: [...labels], registers: [registry] });
      return (values) => counter.inc(values);
    },
    gauge(name, help, label, read) {
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers: [registry],
        async collect() {
          const values = await read();
          this.reset();
          for (const [value, number] of Object.entries(values)) this.set({ [label]: value }, number);
        },
      });
    },
    async render() {
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}
