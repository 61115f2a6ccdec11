// Preloaded into a process that is killed, or receives a system error, before the n-th change that a disk worker makes.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import process from 'node:process'
import { isMainThread, threadId } from 'node:worker_threads'

const CHANGES = [
  'openSync', 'writeSync', 'renameSync', 'linkSync', 'mkdirSync', 'unlinkSync', 'symlinkSync', 'futimesSync', 'lutimesSync',
  'fchmodSync', 'rmdirSync', 'ftruncateSync',
]
const [thread, at] = (process.env.FILESYNC_TEST_KILL_AT ?? '0:0').split(':').map(Number)
const code = process.env.FILESYNC_TEST_FAIL_WITH
const write = fs.writeSync
let calls = 0
if (!isMainThread && threadId === thread) {
  for (const name of CHANGES) {
    const original = fs[name]
    fs[name] = (...args) => {
      const isChange = name !== 'openSync' || (args[1] & fs.constants.O_CREAT) !== 0
      if (isChange && ++calls === at) {
        if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code })
        // The outermost method of a disk worker identifies the step.
        const step = [...(new Error().stack ?? '').matchAll(/at (Disk\w+\.\w+)/gu)].at(-1)?.[1]
        write(1, `killed in ${step} at ${name}\n`)
        process.kill(process.pid, 'SIGKILL')
      }
      return original(...args)
    }
  }
  syncBuiltinESMExports()
}
