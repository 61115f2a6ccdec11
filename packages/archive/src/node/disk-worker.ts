import { parentPort, workerData } from 'node:worker_threads'
import { asFileSyncError } from '@filesync/protocol'
import { Beneath } from './beneath.ts'
import { DiskHistory } from './disk-history.ts'
import { DiskPlacing } from './disk-placing.ts'
import { DiskReread } from './disk-reread.ts'
import { DiskStaging } from './disk-staging.ts'
import { DiskSpoiled } from './disk-spoiled.ts'
import { DiskVersions } from './disk-versions.ts'
import type { DiskCalls, DiskReply, DiskRequest, DiskWorkerData } from './disk-calls.ts'
import * as disk from './disk.ts'
import { storeTrouble } from './trouble.ts'

const { root, syncsEach, umask, foldsNames } = workerData as DiskWorkerData
const beneath = new Beneath(root)
const staging = new DiskStaging(beneath, syncsEach, umask)
const versions = new DiskVersions(beneath)
const placing = new DiskPlacing(beneath, versions, { syncsEach, foldsNames })
const history = new DiskHistory(beneath)
const rereading = new DiskReread(beneath)
const spoiled = new DiskSpoiled(beneath)

const calls: DiskCalls = {
  openArea: area => { beneath.open(area, 'make') },
  stagePack: request => staging.stagePack(request),
  openStream: (id, request) => { staging.openStream(id, request) },
  write: (id, bytes) => { staging.write(id, bytes) },
  copy: (id, offset, lengthBytes) => { staging.copy(id, offset, lengthBytes) },
  finish: (id, digest) => staging.finish(id, digest),
  abandon: id => { staging.abandon(id) },
  openFile: (area, path) => staging.openFile(area, path),
  closeFile: fd => { disk.close(fd) },
  relocate: (area, folder, relocations) => staging.relocate(area, folder, relocations),
  findSpoiled: (area, folder, sections) => spoiled.find(area, folder, sections),
  place: (area, batch, how) => placing.place(area, batch, how),
  remove: (area, stampMs, removals) => versions.remove(area, stampMs, removals),
  settle: (area, directories) => { placing.settle(area, directories) },
  reclaim: (area, folder) => { history.reclaim(area, folder) },
  discard: folder => { history.discard(folder) },
  partials: area => history.partials(area),
  keepPartials: (area, kept) => { history.keepPartials(area, kept) },
  list: (area, directory) => history.list(area, directory),
  find: (area, directory, names) => history.find(area, directory, names),
  beginReread: (id, area, path) => rereading.begin(id, area, path),
  stepReread: id => rereading.step(id),
  endReread: id => { rereading.end(id) },
  digests: (area, directory, names) => history.digests(area, directory, names),
  versions: (area, path) => versions.list(area, path),
  dropVersions: (area, dropped) => { versions.drop(area, dropped) },
  restore: (area, request) => history.restore(area, request),
}

parentPort?.on('message', ({ id, call, args, lent }: DiskRequest) => {
  let reply: DiskReply
  try {
    const work = calls as unknown as Record<string, (...args: unknown[]) => unknown>
    reply = { id, lent, result: work[call]?.(...args) }
  } catch (error) {
    const { code, message, path } = storeTrouble(error) ?? asFileSyncError(error, 'ARCHIVE_UNAVAILABLE')
    reply = { id, lent, error: { code, message, path } }
  }
  parentPort?.postMessage(reply, lent === undefined ? [] : [lent])
})
