import { chmodSync, linkSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AREA, directoryOf, FOLDERS, ForeignClient, PICTURES } from './foreign-client.ts'
import type { ForeignMachine } from './foreign-client.ts'
import { restoreAll } from './foreign-restore.ts'
import { Stage } from './programs.ts'
import { treeDifferences } from './trees.ts'

/**
 * Enrols, pushes two folders, changes, renames, deletes, has a folder come and go, asks whether a copy is safe, restores, watches, and asks
 * for the status.
 */
export async function tryForeignClient (machine: ForeignMachine): Promise<void> {
  const stage = await Stage.open()
  try {
    const client = new ForeignClient(machine, stage, await stage.startServer())
    await enroll(client)
    await push(client)
    await pushChanges(client)
    await loseFolder(client)
    await ask(client)
    await restoreAll(client, stage)
    await watch(client)
  } finally {
    await stage.dispose()
  }
}

async function enroll (client: ForeignClient): Promise<void> {
  writeFileSync(client.at('token'), await client.operate('token', 'create'), { mode: 0o600 })
  await client.expect(['enroll', '--token-file', client.machine.path('token'), '--id', AREA], 0)
}

async function push (client: ForeignClient): Promise<void> {
  for (const name of ['changes', 'moves', 'leaves', 'Ünïcödé 日本語', 'deep/deeper/leaf']) {
    client.write(`source/${name}`, `content of ${name}\n`)
  }
  client.write('source/large', new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 8)))
  for (const name of ['deep/deeper', 'deep']) client.setTime(`source/${name}`)
  client.write('source/read-only', 'not to be changed\n')
  chmodSync(client.at('source/read-only'), 0o444)
  client.write(`${PICTURES}/first name`, 'one file of two names\n')
  mkdirSync(client.at(PICTURES, 'album'))
  linkSync(client.at(PICTURES, 'first name'), client.at(PICTURES, 'album', 'second name'))
  client.setTime(`${PICTURES}/album`)
  const folders = [client.machine.path('source'), `pictures=${client.machine.path(...PICTURES.split('/'))}`]
  await pushAll(client, { sent: 9, folders })
  const { nlink } = lstatSync(join(client.archived('pictures'), 'first name'))
  if (nlink !== 2) throw new Error('Two names of one file became two files in the archive.')
}

async function pushChanges (client: ForeignClient): Promise<void> {
  client.write('source/changes', 'other content\n')
  renameSync(client.at('source/moves'), client.at('source/moved'))
  rmSync(client.at('source/leaves'))
  // Without folders: those that were pushed before, which must be recognized.
  const result = await pushAll(client, { sent: 1, folders: [] })
  if (result.filesRenamed !== 1 || result.filesDeleted !== 1)
    throw new Error(`renamed ${result.filesRenamed}, deleted ${result.filesDeleted}; expected 1 and 1`)
}

/** A folder that is away stays in the archive, and so does one whose place another directory has taken. */
async function loseFolder (client: ForeignClient): Promise<void> {
  const [folder, aside] = [client.at(PICTURES), client.at('aside')]
  renameSync(folder, aside)
  for (const isReplaced of [false, true]) {
    if (isReplaced) mkdirSync(folder)
    const { problems } = await client.expectJson<PushLine>(['push', '--settle', '0s'], 5)
    if (problems.length !== 1 || problems[0]?.path !== 'pictures') throw new Error(`problems: ${JSON.stringify(problems)}`)
    await client.expectCopy('aside', client.archived('pictures'))
    client.say(isReplaced ? 'an empty directory is not taken for its folder' : 'a folder that is away stays in the archive')
  }
  rmSync(folder, { recursive: true })
  renameSync(aside, folder)
  await pushAll(client, { sent: 0, folders: [] })
  // Windows finds a folder by any spelling of its path, and it stays the same folder.
  for (const spelled of client.machine.isWindows ? ['c:\\SOURCE', 'C:\\source'] : []) await pushAll(client, { sent: 0, folders: [spelled] })
}

async function ask (client: ForeignClient): Promise<void> {
  const stdout = await client.expect(['safe', client.machine.path('source', 'large'), '--fresh'], 0)
  if (!stdout.includes('safe')) throw new Error(`safe said: ${stdout}`)
  const listed = await client.expectLocally(['folders', '--json'], 0)
  const folders = JSON.parse(listed) as { name: string, path: string }[]
  const found = folders.map(({ name, path }) => `${name} ${path}`).sort().join(', ')
  const expected = FOLDERS.map(name => `${name} ${client.machine.path(...directoryOf(name).split('/'))}`).sort().join(', ')
  if (found !== expected) throw new Error(`folders said: ${found}; expected ${expected}`)
}

async function watch (client: ForeignClient): Promise<void> {
  await client.during(['start', '--settle', '0s'], async () => {
    await client.until('the client watches', async () => /watching/u.test(await client.status()))
    client.write('source/seen', 'by the watch\n')
    client.write(`${PICTURES}/seen`, 'in the other folder too\n')
    await client.until('changes of both folders are stored without being asked for', async () => {
      const differences = await Promise.all(
        FOLDERS.map(async name => await treeDifferences(client.at(directoryOf(name)), client.archived(name), { modes: false }))
      )
      return differences.flat().length === 0
    })
    console.log((await client.status()).trimEnd())
  })
}

interface PushLine {
  readonly filesSent: number
  readonly filesRenamed: number
  readonly filesDeleted: number
  readonly durationMs: number
  readonly problems: readonly { readonly path: string, readonly code: string }[]
}

async function pushAll (
  client: ForeignClient, { sent, folders }: { readonly sent: number, readonly folders: readonly string[] }
): Promise<PushLine> {
  const result = await client.expectJson<PushLine>(['push', ...folders, '--settle', '0s'], 0)
  if (result.filesSent !== sent) throw new Error(`${result.filesSent} files were sent; expected ${sent}`)
  for (const name of FOLDERS) await client.expectCopy(directoryOf(name), client.archived(name))
  client.say(
    `pushed, ${result.filesSent} sent, ${result.filesRenamed} renamed, ${result.filesDeleted} deleted, ${result.durationMs} ms`
  )
  return result
}
