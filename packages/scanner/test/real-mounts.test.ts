import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock, RelativePath } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Scanner, Snapshot } from '@filesync/scanner'
import { open, scratch, write } from './support/fixture.ts'
import { paths } from './support/tree-text.ts'

const signal = AbortSignal.timeout(120_000)
/** Timers end after a hundredth of their time. */
const fastClock: Clock = { ...systemClock, schedule: (delayMs, callback) => systemClock.schedule(delayMs / 100, callback) }

/** Most containers may not mount. */
const canMount = ((): boolean => {
  const folder = mkdtempSync(join(tmpdir(), 'filesync-mount-'))
  const { status } = spawnSync('mount', ['--bind', folder, folder], { stdio: 'ignore' })
  if (status === 0) spawnSync('umount', ['-l', folder])
  rmSync(folder, { recursive: true })
  return status === 0
})()

function mount (...args: readonly string[]): void {
  execFileSync('mount', args, { stdio: 'ignore' })
  const at = args.at(-1) ?? ''
  onTestFinished(() => { spawnSync('umount', ['-l', at], { stdio: 'ignore' }) })
}

function unmount (at: string): void {
  execFileSync('umount', ['-l', at], { stdio: 'ignore' })
}

/** An ext4 file system in a file, as of a disk that was formatted then; undefined if it cannot be made or mounted here. */
function imageWith (file: string, formattedAtS: number): string | undefined {
  const image = join(scratch(), 'image')
  const env = { ...process.env, E2FSPROGS_FAKE_TIME: String(formattedAtS) }
  if (spawnSync('mkfs.ext4', ['-q', image, '4m'], { stdio: 'ignore', env }).status !== 0) return undefined
  const at = scratch()
  if (spawnSync('mount', ['-o', 'loop', image, at], { stdio: 'ignore' }).status !== 0) return undefined
  write(at, { [file]: file })
  execFileSync('umount', [at])
  return image
}

/** Resolves when something is mounted at a directory, with false if the signal is aborted first. */
async function mountedAt (at: string, over: AbortSignal): Promise<boolean> {
  while (!readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${at} `)) {
    if (over.aborted) return false
    await turn()
  }
  return true
}

async function scan (scanner: Scanner): Promise<Snapshot> {
  return await scanner.scan({ signal })
}

describe.skipIf(!canMount)('a real mount point', { timeout: 60_000 }, () => {
  test('of a disk is away when it is unmounted, or another disk is there, and is listed when it is back', async context => {
    const [disk, other] = [imageWith('mine', 1_600_000_000), imageWith('of-another', 1_600_000_001)]
    if (disk === undefined || other === undefined) return context.skip('loop mounts are not permitted here')
    const root = scratch()
    const usb = join(root, 'usb')
    write(root, { file: '', stays: '' })
    mkdirSync(usb)
    mount('-o', 'loop', disk, usb)
    const scanner = await open(root)
    expect(paths(await scan(scanner))).toContain('usb/mine')
    unmount(usb)
    rmSync(join(root, 'file'))
    const withoutDisk = await scan(scanner)
    expect([withoutDisk.away, paths(withoutDisk)]).toEqual([['usb'], ['stays']])
    mount('-o', 'loop', other, usb)
    const withOther = await scan(scanner)
    expect([withOther.away, paths(withOther)]).toEqual([['usb'], ['stays']])
    expect(withOther.problems[0]?.message).toMatch(/another file system is mounted there/u)
    unmount(usb)
    mount('-o', 'loop', disk, usb)
    const restarted = await open(root, scanner.memory === undefined ? {} : { memory: scanner.memory })
    for (const again of [scanner, restarted]) {
      const snapshot = await scan(again)
      expect(snapshot.away).toEqual([])
      expect(paths(snapshot)).toContain('usb/mine')
    }
  })

  test('whose FUSE daemon has died is away, and the rest of its directory can still be deleted', async context => {
    const [root, elsewhere] = [scratch(), scratch()]
    write(root, { file: '', stays: '' })
    write(elsewhere, { 'sub/file': '' })
    const at = join(root, 'fuse')
    mkdirSync(at)
    const daemon = spawn('bindfs', ['-f', elsewhere, at], { stdio: 'ignore' })
    const ended = new AbortController()
    const end = new Promise<void>(resolve => { ended.signal.addEventListener('abort', () => { resolve() }) })
    daemon.once('exit', () => { ended.abort() }).once('error', () => { ended.abort() })
    if (!await mountedAt(at, ended.signal)) return context.skip('bindfs is not installed, or may not mount here')
    onTestFinished(() => { spawnSync('umount', ['-l', at], { stdio: 'ignore' }) })
    const scanner = await open(root)
    expect(paths(await scan(scanner))).toContain('fuse/sub/file')
    daemon.kill('SIGKILL')
    await end
    rmSync(join(root, 'file'))
    const snapshot = await scan(scanner)
    expect([snapshot.away, paths(snapshot), snapshot.problemCount]).toEqual([['fuse'], ['stays'], 1])
    expect(snapshot.problems[0]).toMatchObject({ path: 'fuse', code: 'AWAY', message: expect.stringMatching(/ENOTCONN/u) as string })
  })

  test('on the same device, as of a bind mount, is away too, although no number shows it', async () => {
    const [root, elsewhere] = [scratch(), scratch()]
    write(root, { file: '' })
    write(elsewhere, { 'sub/bound': '' })
    mkdirSync(join(root, 'bind'))
    mount('--bind', elsewhere, join(root, 'bind'))
    const scanner = await open(root)
    expect(paths(await scan(scanner))).toEqual(['bind', 'bind/sub', 'bind/sub/bound', 'file'])
    unmount(join(root, 'bind'))
    const snapshot = await scan(scanner)
    expect([snapshot.away, paths(snapshot)]).toEqual([['bind'], ['file']])
    expect(scanner.explain('bind/sub' as RelativePath)).toMatchObject({ state: 'away' })
  })

  test('that is the source makes it suspect when it is unmounted, even if the directory below has files on the same device', async () => {
    const [root, elsewhere] = [scratch(), scratch()]
    write(root, { below: '' })
    write(elsewhere, { bound: '' })
    mount('--bind', elsewhere, root)
    const scanner = await open(root)
    expect(paths(await scan(scanner))).toEqual(['bound'])
    unmount(root)
    for (const again of [scanner, await open(root, scanner.memory === undefined ? {} : { memory: scanner.memory })]) {
      const suspect = { code: 'SOURCE_SUSPECT', message: expect.stringContaining('is not now') as string }
      await expect(scan(again)).rejects.toMatchObject(suspect)
    }
    mount('--bind', elsewhere, root)
    expect(paths(await scan(scanner))).toEqual(['bound'])
    unmount(root)
    expect(paths(await scan(await open(root)))).toEqual(['below'])
  })

  test('wakes the watch when it is unmounted and when it is mounted, and is watched then', async () => {
    const [root, elsewhere] = [scratch(), scratch()]
    write(root, { 'home/file': '' })
    write(elsewhere, { 'sub/bound': '' })
    const at = join(root, 'home/bind')
    mkdirSync(at)
    mount('--bind', elsewhere, at)
    const scanner = await open(root, { clock: fastClock, settleMs: 0, fullWalkMs: 1e9 })
    const stop = new AbortController()
    const batches = scanner.watch({ signal: stop.signal })[Symbol.asyncIterator]()
    onTestFinished(() => { stop.abort(new Error('done')) })
    const nextScan = async (): Promise<Snapshot> => {
      await batches.next()
      return await scan(scanner)
    }
    expect(paths(await nextScan())).toContain('home/bind/sub/bound')
    unmount(at)
    expect(await nextScan()).toMatchObject({ away: ['home/bind'] })
    mount('--bind', elsewhere, at)
    let snapshot = await nextScan()
    expect(snapshot.away).toEqual([])
    expect(paths(snapshot)).toContain('home/bind/sub/bound')
    write(elsewhere, { 'sub/fresh': '' })
    while (!paths(snapshot).includes('home/bind/sub/fresh')) snapshot = await nextScan()
  })

  test('that is mounted and unmounted all the time is either listed whole or away', async () => {
    const [root, elsewhere] = [scratch(), scratch()]
    const at = join(root, 'bind')
    write(root, { 'bind/hidden/file': '', 'file': '' })
    write(elsewhere, Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`d${index % 20}/f${index}`, ''])))
    mount('--bind', elsewhere, at)
    const scanner = await open(root)
    const whole = paths(await scan(scanner)).filter(path => path.startsWith('bind'))
    expect(whole).toHaveLength(221)
    const script = 'while :; do umount -l "$1"; mount --bind "$2" "$1"; done'
    const flapping = spawn('sh', ['-c', script, 'sh', at, elsewhere], { stdio: 'ignore' })
    onTestFinished(() => { flapping.kill() })
    const seen = { listed: 0, away: 0 }
    for (let round = 0; round < 60; round++) {
      const snapshot = await scan(scanner)
      const listed = paths(snapshot).filter(path => path.startsWith('bind'))
      expect(paths(snapshot)).toContain('file')
      if (snapshot.away.length > 0) expect([snapshot.away, listed]).toEqual([['bind'], []])
      else expect(listed).toEqual(whole)
      seen[snapshot.away.length > 0 ? 'away' : 'listed']++
    }
    flapping.kill()
    await new Promise(resolve => { flapping.once('exit', resolve) })
    // Neither answer alone would prove anything.
    expect(seen.away).toBeGreaterThan(0)
  })

  test('is not kept busy by a scanner that has finished', async () => {
    const root = scratch()
    const at = join(root, 'usb')
    mkdirSync(at)
    mount('-t', 'tmpfs', 'none', at)
    write(at, { file: '' })
    const scanner = await open(root)
    await scan(scanner)
    execFileSync('umount', [at])
    expect(await scan(scanner)).toMatchObject({ away: ['usb'] })
  })
})
