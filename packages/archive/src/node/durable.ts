import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { FileSyncError } from '@filesync/protocol'

// The shell is started while the server is small: starting a process from a large one blocks it for 50 ms.
const LOOP = 'while read -r _; do if sync -f "$1"; then echo y; else echo n; fi; done'

/**
 * Flushes a whole file system with one call: syncfs(2), through coreutils' `sync -f`. One call for a batch of 2,000 small files
 * took 35 ms; fdatasync of each, 16 at a time, took 250 ms (ext4). Calls made while a flush is running share the next one.
 */
export class FileSystemSync {
  readonly #directory: string
  /** Undefined if it has ended, for example because the system killed it for lack of memory; the next call starts another. */
  #shell: ChildProcessByStdio<Writable, Readable, null> | undefined
  #isClosed = false
  #answer: ((succeeded: boolean) => void) | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor (directory: string) {
    this.#directory = directory
    this.#shell = this.#startShell()
  }

  /** Resolves when everything written before the call is on stable storage. Throws ARCHIVE_UNAVAILABLE, and ABORTED if closed meanwhile. */
  async run (): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#start()
      await this.#running
      return
    }
    // The running flush may have started before the last write.
    this.#next ??= this.#running.catch(() => undefined).then(() => {
      this.#next = undefined
      return this.#running = this.#start()
    })
    await this.#next
  }

  close (): void {
    this.#isClosed = true
    this.#shell?.stdin.end()
  }

  #startShell (): ChildProcessByStdio<Writable, Readable, null> {
    const shell = spawn('sh', ['-c', LOOP, 'sh', this.#directory], { stdio: ['pipe', 'pipe', 'ignore'] })
    const died = (): void => {
      if (this.#shell !== shell) return
      this.#shell = undefined
      this.#answered(false)
    }
    shell.stdout.setEncoding('utf8').on('data', (text: string) => { if (this.#shell === shell) this.#answered(text.startsWith('y')) })
    shell.once('error', died).once('close', died)
    shell.stdin.on('error', died)
    shell.unref()
    return shell
  }

  async #start (): Promise<void> {
    try {
      const succeeded = !this.#isClosed && await new Promise<boolean>(resolve => {
        this.#answer = resolve
        const shell = this.#shell ??= this.#startShell()
        shell.ref()
        shell.stdin.write('\n')
      })
      if (!succeeded) throw this.#isClosed ? new FileSyncError('ABORTED', 'The archive is closed.') : flushFailed()
    } finally {
      this.#running = undefined
    }
  }

  #answered (succeeded: boolean): void {
    this.#shell?.unref()
    this.#answer?.(succeeded)
    this.#answer = undefined
  }
}

function flushFailed (): FileSyncError {
  return new FileSyncError('ARCHIVE_UNAVAILABLE', 'The archive disk could not write data to stable storage. ' +
    'Check the server\'s disk and its system log.')
}

/** Undefined if this system cannot flush a whole file system; then each file and directory is flushed individually. */
export async function startFileSystemSync (directory: string): Promise<FileSystemSync | undefined> {
  if (process.platform !== 'linux') return undefined
  const sync = new FileSystemSync(directory)
  try {
    await sync.run()
    return sync
  } catch {
    // Some small systems do not have the `sync` of coreutils.
    sync.close()
    return undefined
  }
}

/** Flushes the file system of a directory. Resolves to false if that is not possible. */
export async function flushOnce (directory: string): Promise<boolean> {
  // Starting it flushes.
  const sync = await startFileSystemSync(directory)
  sync?.close()
  return sync !== undefined
}
