import {
  compareListings, encodeListing, encodeParts, LIMITS, listingDigest, ListingRequester, ListingResponder, openConnection, PartsDecoder,
} from '../../src/index.ts'
import type { Connection, Entry, Name, RelativePath, Tree } from '../../src/index.ts'
import { hashBytes } from '../../src/node/index.ts'
import { ManualClock, memoryStreamPair } from '../../src/testing/index.ts'

export interface LargeTreeReport {
  readonly files: number
  readonly listings: number
  /** Sum of all listings. */
  readonly bytes: number
  /** Most that the heap and buffers held beyond what they held at the start. */
  readonly grownBytes: number
}

/** A complete listing exchange over a memory pair, of a tree that is new to the requesting side. */
export async function describeLargeTree (shape: { readonly directories: number, readonly filesEach: number }): Promise<LargeTreeReport> {
  const tree = generatedTree(shape.directories, shape.filesEach)
  const clock = new ManualClock()
  const [near, far] = memoryStreamPair()
  const client = openConnection({ stream: near, clock })
  const server = openConnection({ stream: far, clock })
  const answering = answer(client, tree)
  const report = await ask(server, tree)
  await server.close()
  await answering
  return report
}

async function answer (client: Connection, tree: Tree): Promise<void> {
  const answers = new ListingResponder(tree, hashBytes)
  while (!client.signal.aborted) {
    const incoming = await client.next().catch(() => undefined)
    if (incoming?.kind !== 'message' || incoming.message.type !== 'LISTINGS_WANTED') return
    for (const payload of encodeParts(answers.answer(incoming.message.directories), LIMITS.rawFrameBytes)) {
      await client.sendRaw('LISTINGS', [payload])
    }
  }
}

async function ask (server: Connection, tree: Tree): Promise<LargeTreeReport> {
  const questions = new ListingRequester(tree.rootDigest, hashBytes)
  const parts = new PartsDecoder(LIMITS.pageBytes)
  const startBytes = heldBytes()
  let [files, bytes, grownBytes] = [0, 0, 0]
  while (!questions.isComplete) {
    const page = questions.nextRequest()
    if (page !== undefined) await server.send({ type: 'LISTINGS_WANTED', directories: page })
    const incoming = await server.next()
    if (incoming.kind !== 'raw') throw new Error('A message came where listings were due.')
    for (const whole of parts.push(incoming.payload)) {
      const arrived = questions.accept(whole)
      bytes += whole.bytes.length
      arrived.table?.pages.forEach((_, index) => { questions.requestPage(arrived, index) })
      if (arrived.table !== undefined) continue
      for (const difference of compareListings(undefined, arrived.bytes)) {
        if (difference.how !== 'changed') continue
        if (difference.entry.kind === 'directory') questions.request(arrived, difference.index, difference.entry)
        else files++
      }
    }
    grownBytes = Math.max(grownBytes, heldBytes() - startBytes)
  }
  return { files, listings: questions.arrived, bytes, grownBytes }
}

function heldBytes (): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Generates each listing on request, so that the tree itself takes no memory. */
function generatedTree (directories: number, filesEach: number): Tree {
  const root = encodeListing(Array.from({ length: directories }, (_, i): Entry =>
    ({ kind: 'directory', name: nameOf('d', i), mtimeNs: 1n, mode: 0o755, digest: listingDigest(listFiles(i, filesEach), hashBytes) })))
  return {
    rootDigest: listingDigest(root, hashBytes), files: directories * filesEach, directories, bytes: 0,
    listing: (directory: RelativePath) => directory === '' ? root : listFiles(Number(directory.slice(1)), filesEach),
  }
}

function listFiles (directory: number, count: number): Uint8Array {
  return encodeListing(Array.from({ length: count }, (_, i): Entry =>
    ({
      kind: 'file',
      name: nameOf('file-', i),
      mtimeNs: 1_700_000_000_000_000_000n,
      mode: 0o644,
      sizeBytes: i,
      fileId: BigInt(directory * count + i),
    })))
}

function nameOf (prefix: string, i: number): Name {
  return `${prefix}${String(i).padStart(7, '0')}` as Name
}
