/** The errors of a run, and who has to act on them. */
import type {FailureClass, Layer} from '../results/results.ts';

export interface FaultAttribution {
  class: FailureClass;
  layer?: Layer;
  hint: string;
  /** What is wrong, in a few words, where the message is long. */
  headline?: string;
  /** The command that reproduces it by hand. */
  reproduce?: string;
}

/** The longest message, in characters: it may quote foreign text. */
const longest = 10_000;

/** A problem outside this program whose owner is known. Any other error is a bug of this Action. */
export class Fault extends Error {
  readonly attribution: FaultAttribution;

  constructor(message: string, attribution: FaultAttribution) {
    super(message.length > longest ? `${message.slice(0, longest)}…` : message);
    this.name = 'Fault';
    this.attribution = attribution;
  }
}

/** A Fault of class `input`. Throw it before the run creates anything. */
export const createInputFault = (message: string): Fault =>
  new Fault(message, {class: 'input', hint: 'Correct the inputs. The run created nothing.'});

/** A phase stopped because another part of the run failed. */
export class RunStopped extends Error {
  constructor() {
    super('stopped, because another phase failed');
    this.name = 'Stopped';
  }
}

/** A check failed that the rest of the run depends on. The result of that check has the details. */
export class CheckFailed extends Error {
  constructor(id: string) {
    super(`${id} failed`);
    this.name = 'CheckFailed';
  }
}
