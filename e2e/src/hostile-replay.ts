import { FRAME_HEADER_BYTES } from '@filesync/protocol'
import type { ByteStream } from '@filesync/protocol'

/** What one end wrote, and how much it had heard before it did. */
export interface Recorded {
  readonly afterBytes: number
  readonly bytes: Uint8Array
}

/** A stream that notes what is written to it. */
export class RecordingStream implements ByteStream {
  readonly writes: Recorded[] = []
  readonly #stream: ByteStream
  #heardBytes = 0

  constructor (stream: ByteStream) {
    this.#stream = stream
  }

  async read (): Promise<readonly Uint8Array[] | undefined> {
    const chunks = await this.#stream.read()
    for (const chunk of chunks ?? []) this.#heardBytes += chunk.length
    return chunks
  }

  async write (bytes: Uint8Array): Promise<void> {
    this.writes.push({ afterBytes: this.#heardBytes, bytes: bytes.slice() })
    await this.#stream.write(bytes)
  }

  async end (): Promise<void> {
    await this.#stream.end()
  }

  destroy (reason: Error): void {
    this.#stream.destroy(reason)
  }
}

/** How long a replay waits for words that may never come, because it said something else. */
const PATIENCE_MS = 300

/** Says again what was recorded, each piece when as much was heard as before. Resolves when both ends are done. */
export async function replay (stream: ByteStream, writes: readonly Recorded[]): Promise<void> {
  let heardBytes = 0
  let isOver = false
  let wake = (): void => { /* nobody waits yet */ }
  const hearing = (async () => {
    for (let chunks = await stream.read(); chunks !== undefined; chunks = await stream.read()) {
      for (const chunk of chunks) heardBytes += chunk.length
      wake()
    }
  })().catch(() => { /* it broke, which ends it too */ }).finally(() => {
    isOver = true
    wake()
  })
  let isLost = false
  const hear = async (bytes: number): Promise<void> => {
    const timer = setTimeout(() => {
      isLost = true
      wake()
    }, PATIENCE_MS)
    while (!isOver && !isLost && heardBytes < bytes) await new Promise<void>(resolve => { wake = resolve })
    clearTimeout(timer)
  }
  for (const { afterBytes, bytes } of writes) {
    await hear(afterBytes)
    if (isOver) break
    await stream.write(bytes).catch(() => { /* the other end has gone */ })
  }
  // The last message to it may still be on its way.
  isLost = false
  await hear(Infinity)
  await stream.end().catch(() => { /* the other end has gone */ })
  await hearing
}

/** The recording with one to three faults in it: in bytes, in lengths, or in the order of what is said. */
export function mutate (writes: readonly Recorded[], random: (below: number) => number): Recorded[] {
  let mutated = [...writes]
  for (let faults = 1 + random(3); faults > 0; faults--) {
    const at = random(mutated.length)
    const chosen = mutated[at]
    if (chosen === undefined) return mutated
    const other = mutated[random(mutated.length)] ?? chosen
    const kind = random(10)
    if (kind === 0) mutated.splice(at, 1)
    else if (kind === 1) mutated.splice(at, 0, chosen)
    else if (kind === 2) mutated[at] = { ...chosen, bytes: other.bytes }
    else if (kind === 3) mutated = mutated.slice(0, at + 1)
    else mutated[at] = { ...chosen, bytes: spoil(chosen.bytes, random) }
  }
  return mutated
}

function spoil (bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  if (bytes.length === 0) return bytes
  // Mostly where the meaning is: the header and the first bytes after it.
  const at = random(4) === 0 ? random(bytes.length) : random(Math.min(bytes.length, 160))
  const spoilt = bytes.slice()
  switch (random(6)) {
    case 0:
      spoilt[at] = random(256)
      break
    case 1:
      spoilt[at] = (spoilt[at] ?? 0) ^ (1 << random(8))
      break
    case 2:
      spoilt[at] = [0, 1, 0x7f, 0x80, 0xc0, 0xc1, 0xdd, 0xff][random(8)] ?? 0
      break
    case 3:
      return Buffer.concat([spoilt.subarray(0, at), Uint8Array.from({ length: 1 + random(8) }, () => random(256)), spoilt.subarray(at)])
    case 4:
      return Buffer.concat([spoilt.subarray(0, at), spoilt.subarray(at + 1 + random(8))])
    case 5:
      return fitLength(Buffer.concat([spoilt.subarray(0, at), spoilt.subarray(Math.max(at + 1 + random(8), FRAME_HEADER_BYTES))]))
  }
  return spoilt
}

/** A frame whose length is right again, so that the fault is found after its header. */
function fitLength (frame: Uint8Array): Uint8Array {
  if (frame.length <= FRAME_HEADER_BYTES) return frame
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, frame.length - FRAME_HEADER_BYTES)
  return frame
}
