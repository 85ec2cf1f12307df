// Trains a small neural network to tell two interleaved spirals apart, shows how it gets on, and
// writes the trained network to /outputs/model.json.
//
// No packages, one process, Node 18 or newer. The data and the starting weights come from a fixed
// seed. The number of epochs follows from the speed of the machine: the training takes about
// TRAIN_SECONDS (default 7), and never more than twice that on a very slow one.
//
// As a job with a checkpoint directory it keeps its state there, and on another machine it goes on from it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const trainSeconds = Number(process.env.TRAIN_SECONDS ?? 7);
const outputDir = process.env.OUTPUT_DIR ?? '/outputs';
const stateDir = process.env.COMPUTEFABRIC_STATE;
const layerSizes = [2, 32, 32, 1];
const batchSize = 16;
const measuredEpochs = 60;
const random = randomFrom(20);

const train = spirals(800);
const test = spirals(800);
const network = newNetwork();
let step = 0;
console.log(`training a ${layerSizes.join('-')} network on ${train.length} points of two spirals`);

const saved = loadState();
const startedAt = performance.now();
const secondsSoFar = () => (saved?.seconds ?? 0) + (performance.now() - startedAt) / 1000;
const history = saved?.history ?? [];
let epochs = saved?.epochs ?? measuredEpochs; // Until the machine is measured; then the number is fixed.
let nextReport = 0;
let warmedUpAt = 0;
if (saved) console.log(`goes on from epoch ${saved.epoch} of an earlier try`);
for (let epoch = (saved?.epoch ?? 0) + 1; epoch <= epochs; epoch++) {
  // The step size falls along a cosine, so that the network settles at the end.
  const progress = epoch <= measuredEpochs ? 0 : epoch / epochs;
  const loss = trainEpoch(0.0002 + 0.002 * (1 + Math.cos(Math.PI * progress)));
  if (epoch === measuredEpochs / 2) warmedUpAt = secondsSoFar();
  if (epoch === measuredEpochs) {
    const secondsPerEpoch = (secondsSoFar() - warmedUpAt) / (measuredEpochs / 2);
    epochs = Math.max(300, Math.round(trainSeconds / secondsPerEpoch));
  }
  if (secondsSoFar() > 2 * trainSeconds) epochs = epoch;
  if (secondsSoFar() >= nextReport || epoch === epochs) {
    nextReport = secondsSoFar() + 0.5;
    const accuracy = accuracyOn(test);
    history.push({ epoch, loss: round(loss), accuracy: round(accuracy) });
    const count = epoch < measuredEpochs ? `epoch ${epoch}` : `epoch ${epoch}/${epochs}`;
    const bar = '#'.repeat(Math.round(20 * progress)).padEnd(20, '.');
    console.log(count.padEnd(15), `[${bar}] loss ${loss.toFixed(4)}  accuracy ${percent(accuracy)}`);
    if (epoch > measuredEpochs) saveState(epoch);
  }
}

const accuracy = accuracyOn(test);
mkdirSync(outputDir, { recursive: true });
writeFileSync(
  `${outputDir}/model.json`,
  JSON.stringify({
    task: 'two-spirals',
    layer_sizes: layerSizes,
    activation: 'tanh, then sigmoid',
    epochs,
    accuracy: round(accuracy),
    train_seconds: round(secondsSoFar()),
    history,
    layers: network.map(({ weights, biases }) => ({
      weights: Array.from(weights, round),
      biases: Array.from(biases, round),
    })),
  }),
);
console.log(`accuracy ${percent(accuracy)} on ${test.length} points it has never seen`);
console.log(`wrote ${outputDir}/model.json`);

/** Written under another name and renamed: whoever reads the directory at any moment finds a whole state. */
function saveState(epoch) {
  if (!stateDir) return;
  const layers = network.map(({ weights, biases, weightMoments, biasMoments }) =>
    [weights, biases, ...weightMoments, ...biasMoments].map((values) => Array.from(values)),
  );
  const state = { epoch, epochs, step, seconds: secondsSoFar(), history, layers };
  writeFileSync(`${stateDir}/state.new`, JSON.stringify(state));
  renameSync(`${stateDir}/state.new`, `${stateDir}/state.json`);
}

/** The state of an earlier try, put into the network; undefined when there is none. */
function loadState() {
  const file = `${stateDir}/state.json`;
  if (!stateDir || process.env.COMPUTEFABRIC_RESUMED !== '1' || !existsSync(file)) return undefined;
  const state = JSON.parse(readFileSync(file, 'utf8'));
  step = state.step;
  for (const [index, { weights, biases, weightMoments, biasMoments }] of network.entries()) {
    const arrays = [weights, biases, ...weightMoments, ...biasMoments];
    for (const [place, values] of arrays.entries()) values.set(state.layers[index][place]);
  }
  return state;
}

/** Goes once through the training points in random order; returns the mean loss. */
function trainEpoch(rate) {
  shuffle(train);
  let loss = 0;
  for (let start = 0; start < train.length; start += batchSize) {
    const batch = train.slice(start, start + batchSize);
    for (const { x, y, label } of batch) {
      const predicted = forward(x, y);
      loss -= Math.log(Math.max(1e-12, label === 1 ? predicted : 1 - predicted));
      addGradients(predicted - label);
    }
    takeStep(rate, batch.length);
  }
  return loss / train.length;
}

/** Probability that a point belongs to the second spiral; keeps every layer's output for learning. */
function forward(x, y) {
  network[0].input[0] = x;
  network[0].input[1] = y;
  for (let index = 0; index < network.length; index++) {
    const { input, output, weights, biases } = network[index];
    for (let to = 0; to < output.length; to++) {
      let sum = biases[to];
      for (let from = 0; from < input.length; from++) sum += weights[to * input.length + from] * input[from];
      output[to] = index === network.length - 1 ? 1 / (1 + Math.exp(-sum)) : Math.tanh(sum);
    }
  }
  return network[network.length - 1].output[0];
}

/** Back-propagation of one point's error into every layer's gradients. */
function addGradients(error) {
  network[network.length - 1].delta[0] = error;
  for (let index = network.length - 1; index >= 0; index--) {
    const { input, delta, weights, weightGradients, biasGradients } = network[index];
    const below = index > 0 ? network[index - 1].delta : undefined;
    below?.fill(0);
    for (let to = 0; to < delta.length; to++) {
      biasGradients[to] += delta[to];
      for (let from = 0; from < input.length; from++) {
        weightGradients[to * input.length + from] += delta[to] * input[from];
        if (below) below[from] += delta[to] * weights[to * input.length + from];
      }
    }
    if (below) for (let from = 0; from < below.length; from++) below[from] *= 1 - input[from] ** 2;
  }
}

/** One step of Adam with the gradients of a batch, which are then cleared. */
function takeStep(rate, points) {
  step += 1;
  const correction = Math.sqrt(1 - 0.999 ** step) / (1 - 0.9 ** step);
  for (const layer of network) {
    adam(layer.weights, layer.weightGradients, layer.weightMoments);
    adam(layer.biases, layer.biasGradients, layer.biasMoments);
  }
  function adam(values, gradients, [mean, square]) {
    for (let i = 0; i < values.length; i++) {
      const gradient = gradients[i] / points;
      mean[i] = 0.9 * mean[i] + 0.1 * gradient;
      square[i] = 0.999 * square[i] + 0.001 * gradient * gradient;
      values[i] -= (rate * correction * mean[i]) / (Math.sqrt(square[i]) + 1e-8);
      gradients[i] = 0;
    }
  }
}

/** Layers share arrays: the output of one is the input of the next. */
function newNetwork() {
  const layers = [];
  let input = new Float64Array(layerSizes[0]);
  for (let index = 1; index < layerSizes.length; index++) {
    const size = layerSizes[index];
    const count = size * input.length;
    const spread = Math.sqrt(6 / (input.length + size)) * (index === 1 ? 3 : 1);
    const output = new Float64Array(size);
    layers.push({
      input,
      output,
      delta: new Float64Array(size),
      weights: Float64Array.from({ length: count }, () => (random() * 2 - 1) * spread),
      biases: new Float64Array(size),
      weightGradients: new Float64Array(count),
      biasGradients: new Float64Array(size),
      weightMoments: [new Float64Array(count), new Float64Array(count)],
      biasMoments: [new Float64Array(size), new Float64Array(size)],
    });
    input = output;
  }
  return layers;
}

/** Points on two spirals of two and a half turns each, with some noise. */
function spirals(count) {
  return Array.from({ length: count }, (_, i) => {
    const label = i % 2;
    const distance = 0.1 + 0.9 * Math.sqrt(random());
    const angle = distance * 5 * Math.PI + label * Math.PI;
    const noise = () => (random() - 0.5) * 0.16;
    return {
      x: 2 * distance * Math.cos(angle) + noise(),
      y: 2 * distance * Math.sin(angle) + noise(),
      label,
    };
  });
}

function accuracyOn(points) {
  return points.filter(({ x, y, label }) => forward(x, y) > 0.5 === (label === 1)).length / points.length;
}

function shuffle(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
}

/** mulberry32: the same numbers on every machine. */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

function round(value) {
  return Number(value.toFixed(5));
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
