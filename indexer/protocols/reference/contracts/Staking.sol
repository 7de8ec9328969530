// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// Stakes of validators and compute nodes, rewards shared by stake, and slashing by the owner.
contract Staking is Ownable {
    using SafeERC20 for IERC20;

    event Staked(address indexed user, uint256 amount);
    event Withdrawn(address indexed user, uint256 amount);
    event RewardAdded(uint256 reward);
    event RewardPaid(address indexed user, uint256 reward);
    event Slashed(address indexed user, uint256 amount);

    error NothingStaked();
    error NothingEarned(address user);
    error StakeTooSmall(address user, uint256 staked, uint256 asked);

    uint256 private constant SCALE = 1e18;

    IERC20 public immutable token;
    address public immutable treasury;
    uint256 public total;
    mapping(address user => uint256) public stakeOf;
    mapping(address user => uint256) public rewardOf;
    mapping(address user => uint256) private _seen;
    uint256 private _perUnit;
    uint256 private _carry;

    constructor(IERC20 token_, address treasury_) Ownable(msg.sender) {
        token = token_;
        treasury = treasury_;
    }

    function stake(uint256 amount) external {
        _accrue(msg.sender);
        stakeOf[msg.sender] += amount;
        total += amount;
        token.safeTransferFrom(msg.sender, address(this), amount);
        emit Staked(msg.sender, amount);
    }

    function withdraw(uint256 amount) external {
        _reduce(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
        emit Withdrawn(msg.sender, amount);
    }

    /// Shares a reward among today's stakes; what the division leaves is carried to the next reward.
    function addReward(uint256 reward) external onlyOwner {
        if (total == 0) revert NothingStaked();
        uint256 scaled = reward * SCALE + _carry;
        _perUnit += scaled / total;
        _carry = scaled % total;
        token.safeTransferFrom(msg.sender, address(this), reward);
        emit RewardAdded(reward);
    }

    function getReward() external {
        _accrue(msg.sender);
        uint256 reward = rewardOf[msg.sender];
        if (reward == 0) revert NothingEarned(msg.sender);
        rewardOf[msg.sender] = 0;
        token.safeTransfer(msg.sender, reward);
        emit RewardPaid(msg.sender, reward);
    }

    function slash(address user, uint256 amount) external onlyOwner {
        _reduce(user, amount);
        token.safeTransfer(treasury, amount);
        emit Slashed(user, amount);
    }

    function _reduce(address user, uint256 amount) private {
        _accrue(user);
        uint256 staked = stakeOf[user];
        if (staked < amount) revert StakeTooSmall(user, staked, amount);
        stakeOf[user] = staked - amount;
        total -= amount;
    }

    function _accrue(address user) private {
        rewardOf[user] += (stakeOf[user] * (_perUnit - _seen[user])) / SCALE;
        _seen[user] = _perUnit;
    }
}
