// Preloaded into a process that is to die, or to get an error of the system, at the n-th change a disk worker makes.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import process from 'node:process'
import { isMainThread } from 'node:worker_threads'

const at = Number(process.env.FILESYNC_TEST_KILL_AT)
const code = process.env.FILESYNC_TEST_FAIL_WITH
let calls = 0
if (!isMainThread && at > 0) {
  for (const name of ['openSync', 'writeSync', 'renameSync', 'linkSync', 'mkdirSync', 'unlinkSync', 'symlinkSync', 'futimesSync', 'lutimesSync', 'fchmodSync', 'rmdirSync', 'ftruncateSync']) {
    const original = fs[name]
    fs[name] = (...args) => {
      if (++calls === at) {
        if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code })
        process.kill(process.pid, 'SIGKILL')
      }
      return original(...args)
    }
  }
  syncBuiltinESMExports()
}
