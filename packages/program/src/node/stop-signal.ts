import { FileSyncError } from '@filesync/protocol'

/** Exit code of a process that was ended by a signal at once, by the convention of shells. */
const KILLED_EXIT = 130

/**
 * Aborted by the first SIGINT or SIGTERM, so that work in progress can end in an orderly way. The second signal ends the
 * process at once.
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
