import { parentPort, workerData } from 'node:worker_threads'
import { asFileSyncError } from '@filesync/protocol'
import { Beneath } from './beneath.ts'
import { DiskAreas } from './disk-areas.ts'
import { DiskFlushing } from './disk-flushing.ts'
import { DiskHistory } from './disk-history.ts'
import { DiskLinking } from './disk-linking.ts'
import { DiskPartials } from './disk-partials.ts'
import { DiskPlacing } from './disk-placing.ts'
import { DiskReading } from './disk-reading.ts'
import { DiskReread } from './disk-reread.ts'
import { DiskRestore } from './disk-restore.ts'
import { DiskSpoiled } from './disk-spoiled.ts'
import { DiskStaging } from './disk-staging.ts'
import { DiskStreams } from './disk-streams.ts'
import { DiskVersions } from './disk-versions.ts'
import { LOADED } from './disk-calls.ts'
import type { DiskCalls, DiskReply, DiskRequest, DiskWorkerData } from './disk-calls.ts'
import * as disk from './disk.ts'
import { archiveNotAtPath } from './presence.ts'
import { archiveError, storeError } from './disk-errors.ts'

const { root, device, inode, flushes, umask, foldsNames, times } = workerData as DiskWorkerData
const beneath = new Beneath(root)
ensureSameRoot()
const flushing = new DiskFlushing(beneath, flushes)
const staging = new DiskStaging(beneath, flushing, { umask })
const linking = new DiskLinking(beneath, flushing, { times })
const streams = new DiskStreams(beneath, flushing)
const partials = new DiskPartials(beneath)
const versions = new DiskVersions(beneath, flushing)
const placing = new DiskPlacing(beneath, versions, { flushing, foldsNames, times })
const areas = new DiskAreas(beneath, flushing)
const history = new DiskHistory(beneath, flushing)
const reading = new DiskReading(beneath)
const rereading = new DiskReread(beneath)
const restoring = new DiskRestore(beneath, { umask })
const spoiled = new DiskSpoiled(beneath)

const calls: DiskCalls = {
  openArea: area => { beneath.open(area, 'make') },
  stagePack: request => staging.stagePack(request),
  openStream: (id, request) => streams.open(id, request),
  flushStream: id => { streams.flush(id) },
  write: (id, bytes) => { streams.write(id, bytes) },
  copy: (id, offset, lengthBytes) => { streams.copy(id, offset, lengthBytes) },
  hole: (id, lengthBytes) => { streams.hole(id, lengthBytes) },
  finish: (id, digest) => streams.finish(id, digest),
  abandon: id => { streams.abandon(id) },
  openFile: (area, path, options) => reading.openFile(area, path, options),
  closeFile: fd => { disk.close(fd) },
  readSmall: (area, files) => reading.readSmall(area, files),
  relocate: (area, folder, relocations) => linking.relocate(area, folder, relocations),
  linkStaged: (folder, from, links) => linking.linkStaged(folder, from, links),
  findSpoiled: (area, folder, sections) => spoiled.find(area, folder, sections),
  place: (area, batch, how) => placing.place(area, batch, how),
  remove: (area, batch) => versions.remove(area, batch),
  renameArea: (from, to) => areas.rename(from, to),
  removeArea: area => areas.remove(area),
  applyDirectoryStates: (area, directories) => { placing.applyDirectoryStates(area, directories) },
  flush: () => { flushing.flush() },
  reclaim: (area, folder) => { partials.reclaim(area, folder) },
  discard: folder => { staging.discard(folder) },
  partials: area => partials.list(area),
  flushedPartials: (area, lengths) => { partials.flushed(area, lengths) },
  retainPartials: (area, kept) => { partials.keep(area, kept) },
  bornMs: area => reading.bornMs(area),
  list: (area, directory, known) => reading.list(area, directory, known),
  find: (area, directory, names) => reading.find(area, directory, names),
  beginReread: (id, area, path) => rereading.begin(id, area, path),
  stepReread: id => rereading.step(id),
  endReread: id => { rereading.end(id) },
  digests: (area, directory, names) => reading.digests(area, directory, names),
  versions: (area, path) => versions.list(area, path),
  dropVersions: (area, dropped) => { versions.drop(area, dropped) },
  appendHistory: (area, log) => { history.append(area, log) },
  history: area => history.read(area),
  appendPoints: (area, bytes) => { history.appendPoints(area, bytes) },
  points: area => history.points(area),
  replacePoints: (area, bytes) => { history.replacePoints(area, bytes) },
  dropHistory: (area, counts) => { history.drop(area, counts) },
  beginRestore: (id, area, request) => restoring.begin(id, area, request),
  finishRestore: (id, isFlushed) => restoring.finish(id, isFlushed),
  endRestore: id => { restoring.end(id) },
}

/** They write to a directory outside the archive, whose path the operator knows. */
const RESTORES: ReadonlySet<keyof DiskCalls> = new Set(['beginRestore', 'finishRestore', 'endRestore'])

parentPort?.on('message', ({ id, call, args, lent }: DiskRequest) => {
  let reply: DiskReply
  try {
    const work = calls as unknown as Record<string, (...args: unknown[]) => unknown>
    reply = { id, lent, result: work[call]?.(...args) }
  } catch (error) {
    const known = RESTORES.has(call) ? storeError(error) : archiveError(error)
    const { code, message, path } = known ?? asFileSyncError(error, 'ARCHIVE_UNAVAILABLE')
    reply = { id, lent, error: { code, message, path } }
  }
  parentPort?.postMessage(reply, lent === undefined ? [] : [lent])
})

parentPort?.postMessage(LOADED)

/** Each thread opens the root by its path, where another disk may have been mounted since the main thread opened it. */
function ensureSameRoot (): void {
  const own = disk.statOf(beneath.handle(''))
  if (own.device === device && own.inode === inode) return
  throw archiveNotAtPath(root, 'another directory is there, or another disk is mounted')
}
