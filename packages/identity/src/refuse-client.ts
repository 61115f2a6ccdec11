import { FileSyncError } from '@filesync/protocol'

/** The one refusal that a client hears that has not proven anything, whatever the reason. @param why for the server's own log */
export function refuseClient (why: string): FileSyncError {
  return new FileSyncError('PAIRING_REFUSED', 'The pairing code or enrolment token was not accepted. It may be mistyped, expired, or used already. ' +
    'Get a new one with "filesync-server pair" or "filesync-server token create".', { cause: new Error(why) })
}

/** The refusal of a client that was revoked before, and has proven that it holds a token: no other could do anything about it. */
export function refuseRevoked (): FileSyncError {
  return new FileSyncError('PAIRING_REFUSED', 'The server has revoked this client, and a token does not let it back in. ' +
    'If it shall come back, run "filesync-server pair" on the server and "filesync-client pair" here.', {
    cause: new Error('it was revoked, and a token does not let it back in'),
  })
}
