import { FileSyncError } from '@filesync/protocol'

/** Exit code of a process that a signal ended at once, as shells count it. */
const KILLED_EXIT = 130

/**
 * Aborted by the first SIGINT or SIGTERM, so that what is under way can be brought to an end in order. The second one
 * ends the process at once.
 */
export function stopSignal (): AbortSignal {
  const stop = new AbortController()
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(KILLED_EXIT)
    stop.abort(new FileSyncError('ABORTED', 'Stopped on request.'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return stop.signal
}
