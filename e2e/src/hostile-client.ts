import { encodeFrame, encodeListing, encodeParts, LIMITS, ListingResponder } from '@filesync/protocol'
import type { Tasks } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import type { ManualClock, MemoryStreamInit, TreeLiteral } from '@filesync/protocol/testing'
import { FOLDER, folderTree } from './hostile-ground.ts'
import type { Ground, ServeOptions, Taken } from './hostile-ground.ts'
import { hello, HostilePeer } from './hostile-peer.ts'

/** Goes on as an honest client until it is its turn. */
export async function untilReady (peer: HostilePeer, more: object = {}): Promise<void> {
  await peer.say(hello(more))
  for (;;) if ((await peer.hear('SERVER_STATUS')).status === 'READY') return
}

/** CLIENT_FILES_INFO of a tree with this root listing, which has one folder. */
export function info (rootListing: Uint8Array, more: object = {}): object {
  return {
    type: 'CLIENT_FILES_INFO',
    rootDigest: hashBytes(rootListing),
    files: 1,
    directories: 1,
    bytes: 1,
    folders: [{ name: FOLDER, complete: true, files: 1 }],
    away: [],
    removed: [],
    problems: [],
    problemCount: 0,
    ...more,
  }
}

/** The root listing of a tree whose folder has this listing. */
export function rootOf (folderListing: Uint8Array): Uint8Array {
  return encodeListing([{ kind: 'directory', name: FOLDER, mtimeNs: 1n, mode: 0o755, digest: hashBytes(folderListing) }])
}

/** Goes on until the server asks for this root listing. */
export async function untilRootWanted (peer: HostilePeer, rootListing: Uint8Array, more: object = {}): Promise<void> {
  await untilReady(peer)
  await peer.say(info(rootListing, more))
  await peer.hear('LISTINGS_WANTED')
}

/** Goes on until the server asks for the listing of the folder, which is number 1; this listing was announced for it. */
export async function untilWanted (peer: HostilePeer, folderListing: Uint8Array): Promise<void> {
  const root = rootOf(folderListing)
  await untilRootWanted(peer, root)
  await giveListings(peer, [root])
}

/** Goes on until the server has asked for the files that are new to it. */
export async function untilTasks (peer: HostilePeer, literal: TreeLiteral, more: object = {}): Promise<Tasks> {
  await untilReady(peer, more)
  const tree = folderTree(literal)
  const { rootDigest, files, directories, bytes, folders = [] } = tree
  const rest = { away: [], removed: [], problems: [], problemCount: 0 }
  await peer.say({ type: 'CLIENT_FILES_INFO', rootDigest, files, directories, bytes, folders, ...rest })
  const answers = new ListingResponder(tree, hashBytes)
  for (;;) {
    const wanted = await peer.hear('LISTINGS_WANTED', 'TASKS')
    if (wanted.type === 'TASKS') return wanted
    for (const payload of encodeParts(answers.answer(wanted.directories), LIMITS.rawFrameBytes)) await peer.raw('LISTINGS', payload)
  }
}

/** Gives listings one after the other, from a number on and whatever is asked for, until the server has enough. */
export async function giveListings (peer: HostilePeer, listings: Iterable<Uint8Array>, first = 0): Promise<void> {
  let number = first
  for (const bytes of listings) {
    for (const payload of encodeParts([{ number: number++, bytes }], LIMITS.rawFrameBytes)) await peer.raw('LISTINGS', payload)
    if (await peer.hearAny() === undefined) return
  }
}

/** Lets a hostile client loose on the real server. */
export async function attack (
  ground: Ground,
  area: string,
  {
    run,
    stream = {},
    ...options
  }: ServeOptions & { readonly run: (peer: HostilePeer) => Promise<void>, readonly stream?: MemoryStreamInit }
): Promise<{ readonly taken: Taken, readonly heard: string | undefined }> {
  const [left, right] = memoryStreamPair(stream)
  const peer = new HostilePeer(left)
  const serving = ground.serve(right, area, options)
  serving.catch(() => {
    /* thrown below */
  })
  await run(peer)
  const heard = await peer.heardAtEnd()
  return { taken: await serving, heard }
}

/** Lets time pass a second at a time, with a word of the client each, until what is awaited has come. Gives the seconds. */
export async function whileTimePasses<T> (
  clock: ManualClock,
  awaited: Promise<T>,
  everySecond: () => void
): Promise<{ readonly seconds: number, readonly value: T }> {
  let isOver = false
  const noted = awaited.finally(() => {
    isOver = true
  })
  noted.catch(() => {
    /* thrown below */
  })
  let seconds = 0
  for (; !isOver && seconds < 3600; seconds++) {
    everySecond()
    clock.advance(1000)
    for (let turn = 0; turn < 4; turn++)
      await new Promise(resolve => {
        setImmediate(resolve)
      })
  }
  if (!isOver) throw new Error('It was still going on after an hour.')
  return { seconds, value: await noted }
}

export const HEARTBEAT: Uint8Array = encodeFrame('HEARTBEAT', [])
