import { parentPort, workerData } from 'node:worker_threads'
import { ListingWriter } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { IgnoreRules } from '../ignore-rules.ts'
import type { RuleFile } from '../ignore-rules.ts'
import { readDirectory } from '../read-directory.ts'
import { faultText, isGone, isSystemFault } from '../system-fault.ts'
import { ConfinedDirectories } from './confined-directories.ts'
import { toColumns } from './reading-columns.ts'
import type { FromReader, PackedReading, ReadCall, ReaderData, RuleDefinition, ToReader } from './reader-messages.ts'

const { byDescriptor } = workerData as ReaderData
const roots = new Map<string, ConfinedDirectories>()
const writer = new ListingWriter()
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

function directoriesOf (root: string): ConfinedDirectories {
  let directories = roots.get(root)
  if (directories === undefined) {
    directories = new ConfinedDirectories(root, byDescriptor)
    roots.set(root, directories)
  }
  return directories
}

function readOne (path: RelativePath, at: number, call: ReadCall): PackedReading {
  const { root, rulesIds, nowMs, settleMs, links, excluded, omitted, marked, named } = call
  try {
    const rules = rulesOf(rulesIds[at] ?? 0)
    const entries = named.get(at)
    const context = {
      writer, rules, nowMs, settleMs, links, excluded, omitted: omitted.get(at), isMarked: marked.includes(at),
      ...(entries !== undefined && { named: { ...entries, rules: rulesOf(entries.rulesId) } }),
    }
    return directoriesOf(root).read(path, directory => readDirectory(directory, context))
  } catch (error) {
    if (isGone(error)) return { status: 'gone' }
    if (isSystemFault(error)) return { status: 'unreadable', why: faultText(error) }
    throw error
  }
}

function readAll (message: ReadCall): FromReader {
  define(message.rules)
  const readings = message.directories.map((path, at) => readOne(path, at, message))
  return { id: message.id, block: writer.flush(), columns: toColumns(readings) }
}

parentPort?.on('message', (message: ToReader) => {
  if (message.type === 'release') {
    roots.get(message.root)?.close()
    roots.delete(message.root)
    return
  }
  try {
    const answer = readAll(message)
    parentPort?.postMessage(answer, 'block' in answer ? [answer.block.buffer, answer.columns.numbers.buffer] : [])
  } catch (error) {
    parentPort?.postMessage({ id: message.id, error })
  }
})
