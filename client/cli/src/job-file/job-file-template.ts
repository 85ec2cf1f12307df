/** A job that runs as it is, and every other key as a comment that can be taken in. */
export function jobFileTemplate(image: string, schemaUrl: string): string {
  return `# yaml-language-server: $schema=${schemaUrl}
# A job for ComputeFabric. Submit it with: cfab submit

# name: train                    # unique in your account; given by the server when absent
image: ${JSON.stringify(image)}
command: echo hello              # a line for a shell; a list is the exact arguments
# env:
#   EPOCHS: 3

# What the machine must have.
# gpu: RTX 4090|A100             # any of these; asking for a kind of GPU is asking for one
# gpus: 1                        # on one machine
# gpu_share: 0.25                # a part of one GPU, where its owner allows sharing
# vram: 24GB..                   # or more; also 24GB..80GB and ..48GB
# compute_capability: 8.0
# driver: 535.104
# cuda: 12.2
cpus: 1
memory: 1GiB
# disk: 20GB
# region: eu-west|us-east
# network: none                  # or the servers that it may reach: pypi.org, *.pypi.org
# reliability: 95%               # of its tries the machine brought to their end
# tier: verified                 # community, verified or trusted

# Price, time and turn.
# max_price: 0.50                # USD per GPU-hour, per core-hour without GPUs
# max_cost: 0.10                 # USD; the job is stopped before it costs more
# on_limit: checkpoint           # or stop: killed when the money is used up
# class: spot                    # cheaper, and may have to give way after a notice
# priority: 50                   # 0 to 100, among your own jobs
time_limit: 10m
# queue: 6h                      # give up when no machine was found for this long
# after: [prepare, old-run:any]  # jobs that must have ended first

# When something goes wrong. Tries that a machine spoiled are repeated free and not counted.
# retries:
#   max: 3                       # further tries after the program failed
#   on: [1, 137]                 # only after these exit codes
# disconnect:
#   lost_after: 2m               # a silent machine counts as alive for this long
#   replace: true                # then start a replacement
# checkpoint:
#   path: /state                 # the next machine gets this directory back
#   every: 5m
# stop_grace: 10s                # between SIGTERM and the kill

# The same job many times, or one job on several machines at once.
# array:
#   matrix: {LR: [0.1, 0.01]}    # one member for each combination
#   max_parallel: 2
# machines: 2
`;
}
