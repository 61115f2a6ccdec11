import { parentPort, workerData } from 'node:worker_threads'
import type { RelativePath } from '@filesync/protocol'
import type { DirectoryReading } from '../directory-reading.ts'
import { faultText, isSystemFault } from '../fault-text.ts'
import { IgnoreRules } from '../ignore-rules.ts'
import type { RuleFile } from '../ignore-rules.ts'
import { readDirectory } from '../read-directory.ts'
import { ConfinedDirectories } from './confined-directories.ts'
import type { FromReader, PackedReading, ReaderData, RuleDefinition, ToReader } from './reader-messages.ts'
import { isGone } from './system-fault.ts'

const { root, byDescriptor } = workerData as ReaderData
const directories = new ConfinedDirectories(root, byDescriptor)
const files = new Map<number, readonly RuleFile[]>()
const compiled = new Map<number, IgnoreRules>()

function define (rules: readonly RuleDefinition[]): void {
  for (const { id, parentId, file } of rules) {
    const above = parentId === undefined ? [] : files.get(parentId) ?? []
    files.set(id, file === undefined ? above : [...above, file])
  }
}

function rulesOf (id: number): IgnoreRules {
  let rules = compiled.get(id)
  if (rules === undefined) {
    rules = new IgnoreRules(files.get(id) ?? [])
    compiled.set(id, rules)
  }
  return rules
}

function readOne (path: RelativePath, rulesId: number, { nowMs, settleMs }: { readonly nowMs: number, readonly settleMs: number }): DirectoryReading {
  try {
    const rules = rulesOf(rulesId)
    return directories.read(path, directory => readDirectory(directory, { rules, rootDevice: directories.rootDevice, nowMs, settleMs }))
  } catch (error) {
    if (isGone(error)) return { status: 'gone' }
    if (isSystemFault(error)) return { status: 'unreadable', why: faultText(error) }
    throw error
  }
}

function readAll (message: Extract<ToReader, { type: 'read' }>): FromReader {
  define(message.rules)
  const found = message.directories.map((path, at) => readOne(path, message.rulesIds[at] ?? 0, message))
  const block = new Uint8Array(found.reduce((sum, reading) => sum + (reading.status === 'read' ? reading.block.length : 0), 0))
  let start = 0
  const readings = found.map((reading): PackedReading => {
    if (reading.status !== 'read') return reading
    const { block: listing, ...rest } = reading
    block.set(listing, start)
    start += listing.length
    return { ...rest, start: start - listing.length, end: start }
  })
  return { id: message.id, block, readings }
}

parentPort?.on('message', (message: ToReader) => {
  if (message.type === 'rest') {
    directories.close()
    return
  }
  try {
    const answer = readAll(message)
    parentPort?.postMessage(answer, 'block' in answer ? [answer.block.buffer as ArrayBuffer] : [])
  } catch (error) {
    parentPort?.postMessage({ id: message.id, error })
  }
})
