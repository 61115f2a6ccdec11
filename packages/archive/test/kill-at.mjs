// Preloaded into a process that is to die at the n-th change a disk worker makes, between two system calls.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import process from 'node:process'
import { isMainThread } from 'node:worker_threads'

const at = Number(process.env.FILESYNC_TEST_KILL_AT)
let calls = 0
if (!isMainThread && at > 0) {
  for (const name of ['openSync', 'writeSync', 'renameSync', 'linkSync', 'mkdirSync', 'unlinkSync', 'symlinkSync', 'futimesSync', 'lutimesSync', 'fchmodSync', 'rmdirSync']) {
    const original = fs[name]
    fs[name] = (...args) => {
      if (++calls === at) process.kill(process.pid, 'SIGKILL')
      return original(...args)
    }
  }
  syncBuiltinESMExports()
}
