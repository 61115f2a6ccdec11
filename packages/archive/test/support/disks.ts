import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { newFolder } from './on-disk.ts'

const SHUT_DOWN = 'import fcntl,os,sys,struct; fcntl.ioctl(os.open(sys.argv[1],0),0x8004587D,struct.pack("I",1))'

const MOUNT_TRIES = 500

/** Runs a tool of the system; false if it fails or does not exist. */
export function run (tool: string, args: readonly string[]): boolean {
  return spawnSync(tool, args, { stdio: 'ignore' }).status === 0
}

/** A disk in a file, which is mounted and unmounted like one on a cable. */
export class LoopDisk {
  /** Where it is mounted; a plain empty directory while it is not. */
  readonly at: string
  readonly #image: string
  #mounts = 0

  /** @param format the command that makes its file system, before the name of the image */
  constructor (format: readonly string[] = ['mkfs.ext4', '-q', '-m0', '-F'], sizeMib = 64) {
    const folder = newFolder()
    this.at = join(folder, 'mnt')
    this.#image = join(folder, 'image')
    mkdirSync(this.at)
    writeFileSync(this.#image, '')
    truncateSync(this.#image, sizeMib << 20)
    const [tool = '', ...args] = format
    if (!run(tool, [...args, this.#image])) throw new Error(`${tool} failed.`)
    onTestFinished(() => { while (this.#mounts > 0) this.unmount() })
  }

  mount (options = 'rw'): void {
    // The system detaches the loop device of the last mount a moment after the unmount, and allows no second one until then.
    let tries = 0
    while (!run('mount', ['-o', `loop,${options}`, this.#image, this.at])) {
      if (++tries === MOUNT_TRIES) throw new Error('The image cannot be mounted.')
    }
    this.#mounts++
  }

  /** Mounts with a program, such as one for FUSE. */
  mountBy (tool: string, args: readonly string[] = []): void {
    const device = spawnSync('losetup', ['-f', '--show', this.#image], { encoding: 'utf8' }).stdout.trim()
    onTestFinished(() => { run('losetup', ['-d', device]) })
    if (!run(tool, [device, this.at, ...args])) throw new Error(`${tool} failed.`)
    this.#mounts++
  }

  /** Makes its file system fail as if the cable had been pulled (EXT4_IOC_SHUTDOWN); false if that is not possible. */
  pull (): boolean {
    return run('python3', ['-c', SHUT_DOWN, this.at])
  }

  /** Unmounts when nothing is open there any longer, so that everything is written out; a child process may still be ending. */
  async unmountWhole (): Promise<void> {
    while (!run('umount', [this.at])) await setTimeout(10)
    this.#mounts--
  }

  /** Unmounts even while files on it are open; the processes that have them open keep them. */
  unmount (): void {
    this.#mounts--
    run('umount', ['-l', this.at])
  }
}

/** Whether this user may mount images; most containers do not allow it. */
export const mayMountImages: boolean = isMountable()

function isMountable (): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'filesync-archive-'))
  const image = join(folder, 'image')
  writeFileSync(image, '')
  truncateSync(image, 4 << 20)
  const isMounted = run('mkfs.ext4', ['-q', '-F', image]) && run('mount', ['-o', 'loop', image, folder])
  if (isMounted) run('umount', [folder])
  rmSync(folder, { recursive: true })
  return isMounted
}
