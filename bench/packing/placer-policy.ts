import { Demand } from '../../orchestrator/src/matching/placement/demand.ts';
import { Placer } from '../../orchestrator/src/matching/placement/placer.ts';
import type { MakePolicy } from './inflation.ts';

/** What the orchestrator runs, told the distribution of the workload beforehand, as the paper does for FGD. */
export const ours: MakePolicy = ({ cluster, workload }) => {
  const placer = new Placer(cluster, Demand.of(workload));
  return {
    place(task) {
      const choice = placer.best(task);
      if (choice) cluster.take(choice.node, task, choice.gpus);
      return choice !== null;
    },
  };
};

/** The same, told nothing: it knows the tasks that have arrived so far, as a market does. */
export const oursOnline: MakePolicy = ({ cluster }) => {
  const demand = new Demand();
  const placer = new Placer(cluster, demand);
  return {
    place(task) {
      demand.observe(task);
      const choice = placer.best(task);
      if (choice) cluster.take(choice.node, task, choice.gpus);
      return choice !== null;
    },
  };
};
