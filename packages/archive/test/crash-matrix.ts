import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeFolder, describeSource, newArchive, newFolder, versionsIn } from './on-disk.ts'
import { crashStates } from './crash-states.ts'
import { push } from './push.ts'

const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url))
const preload = fileURLToPath(new URL('./kill-at.mjs', import.meta.url))

/** An archive that holds the first state, to be copied for each kill. */
export async function preparedArchive (): Promise<string> {
  const root = newFolder()
  const archive = await newArchive({ root })
  await push(await archive.area('laptop'), crashStates()[0])
  await archive.close()
  return root
}

/** Kills a sync at the n-th change of a worker. Returns what is wrong afterwards, and whether the sync got to its end. */
export async function killAndRecover (prepared: string, at: number): Promise<{ faults: string[], finished: boolean }> {
  const root = newFolder()
  // With times to the nanosecond, which cpSync does not keep.
  spawnSync('cp', ['-a', `${prepared}/.`, root])
  const run = spawnSync(process.execPath, ['--conditions=@filesync/source', '--import', preload, child, root], {
    env: { ...process.env, FILESYNC_TEST_KILL_AT: String(at) }, encoding: 'utf8',
  })
  const finished = run.stdout.includes('finished')
  if (!finished && run.signal !== 'SIGKILL') throw new Error(`The child failed: ${run.stderr}`)
  const stored = Math.max(0, ...[...run.stdout.matchAll(/stored (\d+)/g)].map(match => Number(match[1])))
  const [before, after] = crashStates()
  const faults: string[] = mixed(root, [before.files(), after.files()])

  const archive = await newArchive({ root })
  const area = await archive.area('laptop')
  faults.push(...mixed(root, [before.files(), after.files()]))
  const fresh = [...after.files()].filter(([path, content]) => !same(before.files().get(path), content))
  const kept = fresh.filter(([path, content]) => same(read(root, path), content)).length
  if (kept < stored) faults.push(`${String(stored)} files were told to be durable, ${String(kept)} are there`)
  const second = await push(area, after)
  if (second.problems.length > 0) faults.push(`problems: ${JSON.stringify(second.problems)}`)
  if (second.asked.length > fresh.length - stored) faults.push(`${String(second.asked.length)} files were sent again although ${String(stored)} were stored`)
  faults.push(...difference(describeFolder(join(root, 'laptop')), describeSource(after)))
  const lost = ['gone/a', 'gone/deep/b', 'kind', 'replaced', 'docs/file0', 'docs/file5', 'large'].filter(path => !versionsIn(root, 'laptop').includes(path))
  if (lost.length > 0) faults.push(`no version of ${lost.join(', ')}`)
  if ((await push(area, after)).listings !== 0) faults.push('the index does not have the digest of the client')
  if ((await area.verify()).problems.length > 0) faults.push('verify finds damage')
  const left = readdirSync(join(root, '.filesync/staging')).length + readdirSync(join(root, '.filesync/partial/laptop')).length
  if (left > 0) faults.push('something is left in staging')
  await archive.close()
  return { faults, finished }
}

/** Every file has to be wholly one of the contents its path had. */
function mixed (root: string, states: readonly ReadonlyMap<string, Uint8Array>[]): string[] {
  return describeFolder(join(root, 'laptop')).filter(line => !line.includes(' -> ') && !/\/ \d+ \d+$/.test(line)).flatMap(line => {
    const path = line.split(' ')[0] ?? ''
    const content = read(root, path)
    return states.some(state => same(state.get(path), content)) ? [] : [`${path} is neither old nor new`]
  })
}

function read (root: string, path: string): Uint8Array | undefined {
  const full = join(root, 'laptop', path)
  try {
    return lstatSync(full).isFile() ? readFileSync(full) : undefined
  } catch {
    return undefined
  }
}

function same (left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left !== undefined && right !== undefined && Buffer.compare(left, right) === 0
}

function difference (found: readonly string[], wanted: readonly string[]): string[] {
  return [...found.filter(line => !wanted.includes(line)).map(line => `unwanted: ${line.slice(0, 60)}`), ...wanted.filter(line => !found.includes(line)).map(line => `missing: ${line.slice(0, 60)}`)]
}
