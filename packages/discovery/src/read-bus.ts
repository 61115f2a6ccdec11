import type { BusEvent, DatagramBus } from './datagram-bus.ts'

/** Hands every event of a bus on until the signal is aborted; then, and in any case, closes the bus. */
export async function readBus (bus: DatagramBus, signal: AbortSignal, take: (event: BusEvent) => void): Promise<void> {
  let closing: Promise<void> | undefined
  const close = (): void => { closing ??= bus.close() }
  signal.addEventListener('abort', close, { once: true })
  try {
    if (signal.aborted) return
    for (let event = await bus.next(); event !== undefined; event = await bus.next()) take(event)
  } finally {
    signal.removeEventListener('abort', close)
    close()
    await closing
  }
}
