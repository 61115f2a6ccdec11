/** Writes missing files of vectors: `node --conditions=@filesync/source test/vectors/make.ts`. See README.md. */
import { existsSync, writeFileSync } from 'node:fs'
import { zstdCompressSync } from 'node:zlib'
import { FRAME_HEADER_BYTES } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { DeltaWriter } from '../../src/delta-frame.ts'
import { GEAR, plainCutFinder } from '../../src/gear.ts'
import { SignatureBuilder } from '../../src/signature.ts'
import { vectorContent } from './content.ts'

const CONTENTS = [
  { seed: 1, sizeBytes: 1_000_000, bits: 16 }, { seed: 2, sizeBytes: 2_000_000, bits: 17 }, { seed: 3, sizeBytes: 4_000_000, bits: 18 },
]
interface Operation { readonly copy?: readonly [offset: number, lengthBytes: number], readonly data?: string }
const OPERATIONS: readonly (readonly Operation[])[] = [
  [{ copy: [0, 65_536] }], [{ data: '00' }],
  [{ copy: [4_294_967_296, 1] }, { data: '68656c6c6f' }, { copy: [2 ** 50 - 1, 1] }, { data: 'ff' }],
]
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function signature ({ seed, sizeBytes, bits }: typeof CONTENTS[number]): string {
  const builder = new SignatureBuilder({ averageBits: bits, cuts: plainCutFinder(bits), hash: hashBytes })
  builder.push(vectorContent(seed, sizeBytes))
  return hexOf(builder.finish())
}

function delta (task: number, operations: readonly Operation[]): string {
  const writer = new DeltaWriter(task)
  for (const { copy, data } of operations) {
    if (copy !== undefined) writer.copy(...copy)
    else writer.data(Buffer.from(data ?? '', 'hex'))
  }
  writer.flush()
  return hexOf(writer.take()?.subarray(FRAME_HEADER_BYTES) ?? new Uint8Array())
}

function compressed (content: Uint8Array, claimedBytes = content.length): string {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(claimedBytes)
  return hexOf(Buffer.concat([length, zstdCompressSync(content)]))
}

const text = Buffer.from('hello\n'.repeat(100))
const zeros = '00000000'
const copyHeader = `${zeros}00`
const malformed = (hex: string, why: string): unknown => ({ hex, refused: 'FRAME_MALFORMED', why })
const FILES: Readonly<Record<string, readonly unknown[]>> = {
  gear: Array.from(GEAR, number => number >>> 0),
  cuts: CONTENTS.map(content => {
    return { ...content, cuts: [...plainCutFinder(content.bits).push(vectorContent(content.seed, content.sizeBytes))] }
  }),
  signatures: [
    ...CONTENTS.map(content => ({ ...content, hex: signature(content) })),
    malformed('01100000', 'a header that is cut'),
    malformed(`02100000${zeros}${zeros}`, 'another version'),
    malformed(`010f0000${zeros}${zeros}`, 'chunks of 32 KiB'),
    malformed(`01100001${zeros}${zeros}`, 'reserved bytes that are not zero'),
    malformed(`01100000${zeros}00000001${zeros}${zeros.repeat(4)}`, 'a chunk of length 0'),
    malformed(`01100000${zeros}0000000200000001${zeros.repeat(4)}`, 'chunks that do not add up to the file'),
  ],
  deltas: [
    ...OPERATIONS.map((operations, task) => ({ hex: delta(task, operations), task, operations })),
    malformed(zeros, 'no operation'),
    malformed(`${zeros}02`, 'an operation that is not known'),
    malformed(`${copyHeader}${zeros}${zeros}`, 'a copy that is cut'),
    malformed(`${copyHeader}0004000000000001${zeros}00000001`, 'a copy from beyond any file'),
    malformed(`${zeros}01${zeros}`, 'new bytes of length 0'),
    malformed(`${zeros}010000000200`, 'new bytes that are cut'),
  ],
  zstd: [
    { hex: compressed(text), content: hexOf(text) },
    { hex: compressed(Buffer.alloc(1)), content: '00' },
    malformed(compressed(text, 599), 'more than it claims'),
    malformed(compressed(text, 601), 'less than it claims'),
    malformed(compressed(text, 0), 'a claim of nothing'),
    malformed(compressed(text, 1_114_113), 'a claim of more than a frame'),
    malformed(compressed(text) + hexOf(zstdCompressSync(text)), 'a second frame after the first'),
    malformed(`${compressed(text)}502a4d1800000000`, 'a skippable frame after the first'),
    malformed('00000258', 'nothing'),
  ],
}

for (const [name, vectors] of Object.entries(FILES)) {
  const file = new URL(`${name}.json`, import.meta.url)
  if (!existsSync(file)) writeFileSync(file, `[\n${vectors.map(vector => `  ${JSON.stringify(vector)}`).join(',\n')}\n]\n`)
}
