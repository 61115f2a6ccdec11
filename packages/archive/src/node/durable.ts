import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { FileSyncError } from '@filesync/protocol'

// A shell that was started while the server was small: starting a process from a large one stops it for 50 ms.
const LOOP = 'while read -r _; do if sync -f "$1"; then echo y; else echo n; fi; done'

/**
 * Makes a whole file system durable with one call: syncfs(2), through coreutils' `sync -f`. One call for a batch of 2,000
 * small files took 35 ms where fdatasync of each, 16 at a time, took 250 ms (ext4). Calls that come while one is running
 * share the next one.
 */
export class FileSystemSync {
  readonly #directory: string
  /** Undefined when it has died, as by the hand of whoever was short of memory: the next call starts another. */
  #shell: ChildProcessByStdio<Writable, Readable, null> | undefined
  #isClosed = false
  #answer: ((succeeded: boolean) => void) | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor (directory: string) {
    this.#directory = directory
    this.#shell = this.#startShell()
  }

  /** Resolves when everything written before the call is on stable storage. Throws ARCHIVE_UNAVAILABLE, and ABORTED where it is closed meanwhile. */
  async run (): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#start()
      await this.#running
      return
    }
    // What runs may have started before the last write.
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
      this.#take(false)
    }
    shell.stdout.setEncoding('utf8').on('data', (text: string) => { if (this.#shell === shell) this.#take(text.startsWith('y')) })
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
      if (!succeeded) throw this.#isClosed ? new FileSyncError('ABORTED', 'The archive is closed.') : unsynced()
    } finally {
      this.#running = undefined
    }
  }

  #take (succeeded: boolean): void {
    this.#shell?.unref()
    this.#answer?.(succeeded)
    this.#answer = undefined
  }
}

function unsynced (): FileSyncError {
  return new FileSyncError('ARCHIVE_UNAVAILABLE', 'The archive disk could not write data to stable storage. Check the server\'s disk and its system log.')
}

/** Whether this system can; elsewhere each file and directory is flushed by itself. */
export async function startFileSystemSync (directory: string): Promise<FileSystemSync | undefined> {
  if (process.platform !== 'linux') return undefined
  const sync = new FileSystemSync(directory)
  try {
    await sync.run()
    return sync
  } catch {
    // No `sync` of coreutils here, as on some small systems.
    sync.close()
    return undefined
  }
}
