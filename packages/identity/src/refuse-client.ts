import { FileSyncError } from '@filesync/protocol'

/** The one refusal that a client hears, whatever the reason. @param why for the server's own log */
export function refuseClient (why: string): FileSyncError {
  return new FileSyncError('PAIRING_REFUSED', 'The pairing code or enrolment token was not accepted. It may be mistyped, expired, or used already. ' +
    'Get a new one with "filesync-server pair" or "filesync-server token create".', { cause: new Error(why) })
}
