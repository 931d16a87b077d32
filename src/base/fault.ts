import type {FailureClass, Layer} from '../results/results.ts';

export interface FaultAttribution {
  class: FailureClass;
  layer?: Layer;
  hint: string;
  /** What is wrong, in a few words, where the message says it in many. */
  headline?: string;
  /** The command that shows it by hand. */
  reproduce?: string;
}

/** Of a message, in characters: it may repeat what somebody else wrote. */
const longest = 10_000;

/** Something is wrong outside this program, and we know whose it is. Any other error is a bug of ours. */
export class Fault extends Error {
  readonly attribution: FaultAttribution;

  constructor(message: string, attribution: FaultAttribution) {
    super(message.length > longest ? `${message.slice(0, longest)}…` : message);
    this.name = 'Fault';
    this.attribution = attribution;
  }
}

/** A Fault of class `input`; nothing has been made when it is thrown. */
export const createInputFault = (message: string): Fault =>
  new Fault(message, {class: 'input', hint: 'Correct the inputs; nothing was made.'});

/** The work was given up because another part of the run failed. */
export class RunStopped extends Error {
  constructor() {
    super('stopped, because another phase failed');
    this.name = 'Stopped';
  }
}

/** A check failed without which there is no point in going on; its row says what was found. */
export class CheckFailed extends Error {
  constructor(id: string) {
    super(`${id} failed`);
    this.name = 'CheckFailed';
  }
}
