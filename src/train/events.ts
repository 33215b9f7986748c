// What a training tells as it goes. All but "start" and "end" are lines of log.jsonl.

export interface TrainingStart {
  readonly type: "start";
  /** Numbers that learn. */
  readonly parameters: number;
  /** Bytes of the parameters, their gradients and the optimizer, and of what a micro-batch takes beside them. */
  readonly state: number;
  readonly arena: number;
  /** f32 operations that the products of a token take, forward and back: six a weight of a matrix, attention left out. */
  readonly flopsPerToken: number;
  /** Where it is computed: an instruction set of `describeMachine().targets`, and threads. */
  readonly target: string;
  readonly threads: number;
  /** Documents and tokens of the data. */
  readonly documents: number;
  readonly tokens: number;
  /** The step that the run goes on behind; 0: it begins. */
  readonly step: number;
}

export interface TrainingStep {
  readonly type: "step";
  /** From 1 on. */
  readonly step: number;
  /** Mean over the step's tokens, in nats. */
  readonly loss: number;
  /** The learning rate; AdamW's, where Muon has one of its own. */
  readonly rate: number;
  /** Of the mean gradient, before it is clipped. */
  readonly gradientNorm: number;
  /** The step was left out: its gradient was no number, or far larger than those before. */
  readonly skipped: boolean;
  /** In all steps so far. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Of the run, interruptions left out. */
  readonly seconds: number;
  /** Share of the run that is done. */
  readonly progress: number;
  /** Passes over the data that are done, and the share of the one that is not. */
  readonly epochs: number;
}

export interface TrainingEvaluation {
  readonly type: "evaluation";
  readonly step: number;
  /** Mean over the held-out tokens, in nats. */
  readonly loss: number;
  /** The same by the bytes of their text: comparable across tokenizers. */
  readonly bitsPerByte: number;
  /** Of the mean of the weights at the end of the run, which the model gets. */
  readonly averaged?: true;
}

export interface TrainingCheckpoint {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
}

export interface TrainingSample {
  readonly type: "sample";
  readonly step: number;
  readonly text: string;
}

export interface TrainingEnd {
  readonly type: "end";
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
  /** Documents that were longer than a sequence, and split. */
  readonly longDocuments: number;
  /** The folder of the model. */
  readonly model: string;
}

export type TrainingEvent =
  | TrainingStart
  | TrainingStep
  | TrainingEvaluation
  | TrainingCheckpoint
  | TrainingSample
  | TrainingEnd;
