/**
 * A feed of typed changes: the keeper of a table tells what became of a row, and followers are called with it at once.
 *
 * Nothing is queued, so nothing can overflow: a follower that has more to do than a few stores notes the key and does it
 * later. Without followers, the teller asks `isFollowed` first and makes no change object. A follower must not change the
 * table it hears of.
 */

/** Most followers of one feed: each makes every change dearer. */
const FOLLOWERS = 8;

export class Feed<T> {
  private readonly followers: ((change: T) => void)[] = [];

  get isFollowed(): boolean {
    return this.followers.length > 0;
  }

  /** Be called with each change, from now on. @returns ends that. */
  follow(follower: (change: T) => void): () => void {
    if (this.followers.length === FOLLOWERS) throw new Error(`a feed has ${FOLLOWERS} followers at most`);
    this.followers.push(follower);
    return () => {
      const at = this.followers.indexOf(follower);
      if (at >= 0) this.followers.splice(at, 1);
    };
  }

  tell(change: T): void {
    for (const follower of this.followers) follower(change);
  }
}

/** `was` null: added; `is` null: removed. Both null is no change. */
export type ChangeKind = "added" | "changed" | "removed";

export function kindOf(was: unknown, is: unknown): ChangeKind {
  if (was === null) return "added";
  return is === null ? "removed" : "changed";
}
