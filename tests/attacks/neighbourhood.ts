import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createInterface } from 'node:readline';

/** A place in the stand-in for everything around the owner's machine. */
export interface Place {
  name: string;
  host: string;
  port: number;
}

/** What is around the machine: places that it reaches itself, played by one network namespace. */
export interface Neighbourhood {
  /** The internet: what jobs are let out to. */
  internet: Place;
  mail: Place;
  /** What only the owner may reach. */
  forbidden: Place[];
  /** What was asked of the name server at the internet place, over UDP. */
  questions(): number;
  close(): void;
}

const ports = [25, 80, 443, 8_443];

/**
 * Puts a home network, a company's, a cloud's metadata and a piece of the internet beside this machine: addresses in
 * a network namespace, with a route to each. Needs root. Addresses are drawn, so that runs at the same time do not meet.
 */
export async function openNeighbourhood(): Promise<Neighbourhood> {
  const mark = randomInt(0x1000, 0xffff).toString(16);
  const [a, b] = [randomInt(1, 250), randomInt(2, 250)];
  const addresses = {
    internet: `203.0.113.${b}`,
    home: `192.168.${a}.${b}`,
    company: `10.${a}.${b}.40`,
    office: `172.16.${a}.${b}`,
    linkLocal: `169.254.${a}.${b}`,
    shared: `100.${64 + (a % 60)}.${b}.200`,
  };
  const namespace = `cfat${mark}`;
  const [near, far] = [`10.23${a % 10}.${b}.1`, `10.23${a % 10}.${b}.2`];
  const run = (command: string) => execFileSync('/bin/sh', ['-ec', command], { encoding: 'utf8' });
  run(`
    ip netns add ${namespace}
    ip link add cfat${mark}h type veth peer name cfat${mark}n netns ${namespace}
    ip address add ${near}/30 dev cfat${mark}h
    ip link set cfat${mark}h up
    ip -n ${namespace} address add ${far}/30 dev cfat${mark}n
    ip -n ${namespace} link set lo up
    ip -n ${namespace} link set cfat${mark}n up
    ip -n ${namespace} route add default via ${near}
  `);
  for (const address of Object.values(addresses)) {
    run(
      `ip -n ${namespace} address add ${address}/32 dev lo; ip route replace ${address}/32 via ${far} dev cfat${mark}h`,
    );
  }
  const server = spawn(
    'ip',
    ['netns', 'exec', namespace, process.execPath, '-e', servers, addresses.internet, ports.join(',')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let questions = 0;
  const lines = createInterface({ input: server.stdout });
  await new Promise<void>((resolve, reject) => {
    server.on('exit', () => reject(new Error('the stand-ins did not start')));
    lines.on('line', (line) => {
      if (line === 'ready') resolve();
      if (line === 'question') questions += 1;
    });
  });
  const { internet, ...forbidden } = addresses;
  return {
    internet: { name: 'internet', host: internet, port: 443 },
    mail: { name: 'mail', host: internet, port: 25 },
    forbidden: Object.entries(forbidden).map(([name, host]) => ({ name, host, port: 80 })),
    questions: () => questions,
    close: () => {
      server.removeAllListeners('exit');
      server.kill('SIGKILL');
      run(`ip link delete cfat${mark}h || true; ip netns delete ${namespace} || true`);
    },
  };
}

/** Greets whoever comes. */
const servers = `
const net = require('node:net');
const dgram = require('node:dgram');
const ports = process.argv.at(-1).split(',').map(Number);
const names = dgram.createSocket('udp4').on('message', (message, { port, address }) => {
  process.stdout.write('question\\n');
  const answer = Buffer.from(message);
  answer[2] |= 0x80;
  answer[3] = 3; // no such name
  names.send(answer, port, address);
});
names.bind(53, process.argv.at(-2));
let left = ports.length;
for (const port of ports)
  net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.0 200 OK\\r\\nconnection: close\\r\\n\\r\\nhello from ' + socket.localAddress + '\\n');
  }).listen(port, '0.0.0.0', () => { if (--left === 0) process.stdout.write('ready\\n'); });
`;
