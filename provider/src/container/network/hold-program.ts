/*
 * The program of a network holder: it sleeps for ten minutes and ends. A container keeps its network namespace for as
 * long as a program runs in it, and there may be no registry to fetch such a program from, so it is built here, from
 * what an owner can read: the head that Linux wants in front of a program, and the instructions one by one. To see
 * that the bytes do what is written beside them, take `/hold` out of the image `computefabric/network-holder` and look
 * at it with `objdump -D -b binary -m i386:x86-64 --start-address=120 hold` (for ARM: `-m aarch64`).
 *
 * It ends by itself so that nothing stays of an agent that was killed and never came back; a task that has joined the
 * namespace keeps it.
 */

const SLEEP_SECONDS = 600;
const ADDRESS = 0x40_0000n;
const FILE_HEAD_BYTES = 64;
const SEGMENT_HEAD_BYTES = 56;
const HEAD_BYTES = FILE_HEAD_BYTES + SEGMENT_HEAD_BYTES;

export type HoldArch = 'x64' | 'arm64';

/** The whole file, ready to be executed. */
export function holdProgram(arch: HoldArch): Buffer {
  const code = Buffer.from(instructions[arch].map(([bytes]) => bytes.replaceAll(' ', '')).join(''), 'hex');
  const time = Buffer.alloc(16); // What `nanosleep` reads: seconds, then nanoseconds, 8 bytes each.
  time.writeBigUInt64LE(BigInt(SLEEP_SECONDS), 0);
  const body = Buffer.concat([code, time]);
  return Buffer.concat([fileHead(arch), segmentHead(HEAD_BYTES + body.length), body]);
}

/** The bytes of each instruction, and what they mean. `time` is what follows the last one. */
const instructions: Record<HoldArch, readonly (readonly [bytes: string, meaning: string])[]> = {
  x64: [
    ['b8 23 00 00 00', 'mov eax, 35          ; the call is nanosleep'],
    ['48 8d 3d 0d 00 00 00', 'lea rdi, [rip + 13]  ; its time is at `time`, 13 bytes after this instruction'],
    ['31 f6', 'xor esi, esi         ; nobody wants to know what was left of it'],
    ['0f 05', 'syscall'],
    ['b8 3c 00 00 00', 'mov eax, 60          ; the call is exit'],
    ['31 ff', 'xor edi, edi         ; with 0'],
    ['0f 05', 'syscall'],
  ],
  arm64: [
    ['00 01 00 10', 'adr x0, . + 32       ; its time is at `time`, 8 instructions on'],
    ['01 00 80 d2', 'mov x1, 0            ; nobody wants to know what was left of it'],
    ['a8 0c 80 d2', 'mov x8, 101          ; the call is nanosleep'],
    ['01 00 00 d4', 'svc 0'],
    ['00 00 80 d2', 'mov x0, 0            ; with 0'],
    ['a8 0b 80 d2', 'mov x8, 93           ; the call is exit'],
    ['01 00 00 d4', 'svc 0'],
    ['1f 20 03 d5', 'nop                  ; so that `time` is at a multiple of 8'],
  ],
};

const MACHINE = { x64: 62, arm64: 183 } as const;

/** `Elf64_Ehdr` of elf(5). */
function fileHead(arch: HoldArch): Buffer {
  const head = Buffer.alloc(FILE_HEAD_BYTES);
  head.write('\x7fELF', 0, 'latin1');
  head.writeUInt8(2, 4); // 64 bits
  head.writeUInt8(1, 5); // little-endian
  head.writeUInt8(1, 6); // version
  head.writeUInt16LE(2, 16); // a program
  head.writeUInt16LE(MACHINE[arch], 18);
  head.writeUInt32LE(1, 20); // version
  head.writeBigUInt64LE(ADDRESS + BigInt(HEAD_BYTES), 24); // the first instruction
  head.writeBigUInt64LE(BigInt(FILE_HEAD_BYTES), 32); // where the segment head is
  head.writeUInt16LE(FILE_HEAD_BYTES, 52);
  head.writeUInt16LE(SEGMENT_HEAD_BYTES, 54);
  head.writeUInt16LE(1, 56); // one segment
  return head;
}

/** `Elf64_Phdr` of elf(5): the whole file, to be read and executed, never written. */
function segmentHead(fileBytes: number): Buffer {
  const head = Buffer.alloc(SEGMENT_HEAD_BYTES);
  head.writeUInt32LE(1, 0); // to be loaded
  head.writeUInt32LE(4 + 1, 4); // read, execute
  head.writeBigUInt64LE(ADDRESS, 16);
  head.writeBigUInt64LE(ADDRESS, 24);
  head.writeBigUInt64LE(BigInt(fileBytes), 32);
  head.writeBigUInt64LE(BigInt(fileBytes), 40);
  head.writeBigUInt64LE(0x1_0000n, 48); // alignment, the largest page there is
  return head;
}
