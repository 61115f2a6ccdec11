import { closeSync, openSync, writeSync } from 'node:fs'

/** What a test asks the process of this module for, so that what it uses is known. It answers when it is done. */
export type Order =
  | { readonly use: 'memory', readonly sizeBytes: number }
  | { readonly use: 'no memory' }
  | { readonly use: 'file', readonly sizeBytes: number, readonly path: string }
  | { readonly use: 'cpu', readonly cpuMs: number }

const BLOCK = new Uint8Array(1 << 20)
let held: Uint8Array | undefined

process.on('message', (order: Order) => {
  use(order)
  process.send?.(held?.length ?? 0)
})

function use (order: Order): void {
  switch (order.use) {
    case 'memory':
      held = new Uint8Array(order.sizeBytes).fill(1)
      break
    case 'no memory':
      held = undefined
      // The test starts this process with --expose-gc.
      globalThis.gc?.()
      break
    case 'file': {
      const fd = openSync(order.path, 'w')
      for (let written = 0; written < order.sizeBytes;) written += writeSync(fd, BLOCK)
      closeSync(fd)
      break
    }
    case 'cpu': {
      const before = process.cpuUsage()
      for (let spentMs = 0; spentMs < order.cpuMs;) {
        const { user, system } = process.cpuUsage(before)
        spentMs = (user + system) / 1000
      }
    }
  }
}
