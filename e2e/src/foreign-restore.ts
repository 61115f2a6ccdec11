import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AREA, directoryOf, FOLDERS } from './foreign-client.ts'
import type { ForeignClient } from './foreign-client.ts'
import type { Stage } from './programs.ts'

interface Restored {
  readonly files: number
  readonly filesPresent: number
  readonly filesLinked: number
  readonly problems: readonly { readonly path: string, readonly code: string, readonly message: string }[]
}

/** Names that Windows cannot hold; another machine may have pushed them, and the last two meet there. */
const FOREIGN_NAMES = ['a:b', 'con', 'dot.', 'Two', 'two']

/** Asks for the history, and restores everything, a path, a former state, over what is there, and what the machine cannot hold. */
export async function restoreAll (client: ForeignClient, stage: Stage): Promise<void> {
  const { points } = await client.expectJson<{ points: { point: string }[] }>(['history'], 0)
  const first = points.at(-1)?.point
  if (first === undefined) throw new Error('There is no point to restore.')
  const all = await restore(client, ['--to', client.machine.path('restored')])
  await expectRestored(client, 'restored')
  if (all.filesLinked !== 1) throw new Error(`${all.filesLinked} files were linked; expected 1`)
  await restoreOver(client)
  await restoreFormer(client, first)
  await restoreForeign(client, stage)
}

async function restoreOver (client: ForeignClient): Promise<void> {
  for (const name of ['read-only', 'large']) {
    const path = client.at('restored/source', name)
    rmSync(path)
    writeFileSync(path, name === 'large' ? 'small' : 'NOT TO BE CHANGED\n')
    chmodSync(path, 0o444)
  }
  client.write('restored/source/changes', 'OTHER content\n')
  chmodSync(client.at('restored/source/changes'), 0o444)
  const kept = await restore(client, ['--to', client.machine.path('restored')], 5)
  const paths = kept.problems.map(({ path, code }) => `${code} ${path}`).sort().join(', ')
  const taken = ['changes', 'large', 'read-only'].map(name => `PATH_TAKEN source/${name}`).join(', ')
  if (paths !== taken) throw new Error(`problems: ${JSON.stringify(kept.problems)}`)
  await restore(client, ['--to', client.machine.path('restored'), '--overwrite'])
  await expectRestored(client, 'restored')
}

async function restoreFormer (client: ForeignClient, point: string): Promise<void> {
  await restore(client, [client.machine.path('source', 'leaves'), '--at', point, '--to', client.machine.path('former')])
  const content = readFileSync(client.at('former/source/leaves'), 'utf8')
  if (content !== 'content of leaves\n') throw new Error(`The deleted file came back as ${JSON.stringify(content)}`)
}

/** Restores a folder that came from another machine. */
async function restoreForeign (client: ForeignClient, stage: Stage): Promise<void> {
  const other = stage.path('other')
  for (const name of FOREIGN_NAMES) {
    mkdirSync(join(other, name), { recursive: true })
    writeFileSync(join(other, name, 'below'), name)
  }
  await client.operate('adopt', `${AREA}/other`, other)
  const { isWindows } = client.machine
  const { problems } = await restore(client, ['other', '--to', client.machine.path('foreign')], isWindows ? 5 : 0)
  const restored = readdirSync(client.at('foreign/other'))
  const lost = problems.map(({ path, message }) => `\n  ${path}: ${message}`).join('')
  const expected = isWindows ? ['Two'] : FOREIGN_NAMES
  if (restored.sort().join() !== [...expected].sort().join()) throw new Error(`restored: ${restored.join(', ')}; not:${lost}`)
  if (restored.length + problems.length !== FOREIGN_NAMES.length) throw new Error(`not every name is reported:${lost}`)
  for (const name of restored) {
    const content = readFileSync(client.at('foreign/other', name, 'below'), 'utf8')
    if (content !== name) throw new Error(`${name} came back as ${content}`)
  }
  client.say(`names of another machine are restored (${restored.join(', ')})${lost === '' ? '' : ` or named:${lost}`}`)
}

async function restore (client: ForeignClient, args: readonly string[], code = 0): Promise<Restored> {
  const restored = await client.expectJson<Restored>(['restore', ...args], code)
  client.say(`restored, ${restored.files} files, ${restored.filesPresent} there already, ${restored.filesLinked} linked`)
  return restored
}

async function expectRestored (client: ForeignClient, to: string): Promise<void> {
  for (const name of FOLDERS) await client.expectCopy(directoryOf(name), client.at(to, name))
  if (readdirSync(client.at(to)).includes('.filesync')) throw new Error('The restore did not remove its work directory.')
  if ((lstatSync(client.at(to, 'source', 'read-only')).mode & 0o200) !== 0) throw new Error('The read-only file came back writable.')
  if (lstatSync(client.at(to, 'pictures', 'first name')).nlink !== 2) throw new Error('Two names of one file came back as two files.')
}
