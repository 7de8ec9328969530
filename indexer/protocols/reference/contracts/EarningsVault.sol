// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {AssetRegistry} from "./AssetRegistry.sol";

/// Settles batches of calls, credits everyone upstream, and pays by claim or by batch.
/// Per settlement the accrued amounts and the fee sum to the amount paid, to the last base unit.
contract EarningsVault is Ownable {
    using SafeERC20 for IERC20;

    event CallsSettled(
        uint256 indexed assetId,
        address indexed payer,
        address indexed token,
        uint256 amount,
        uint256 fee,
        uint64 calls,
        bytes32 batchRoot
    );
    event EarningAccrued(
        uint256 indexed calledId,
        uint256 indexed assetId,
        address indexed account,
        address token,
        uint256 amount
    );
    event EarningClaimed(address indexed account, address indexed token, uint256 amount);
    event PayoutSent(bytes32 indexed batchId, address indexed account, address indexed token, uint256 amount);
    event FeeSet(uint32 bps, address treasury);
    event Burst(uint256 indexed i, address indexed who, uint256 amount);

    error FeeTooHigh(uint32 bps);
    error NoTreasury();
    error NothingToSettle();
    error TooDeep(uint256 assetId);
    error NothingOwed(address account, address token);
    error OwedTooLittle(address account, address token, uint256 owed, uint256 asked);
    error LengthsDiffer();

    uint256 private constant BPS = 10_000;
    uint256 private constant MAX_DEPTH = 8;

    AssetRegistry public immutable registry;
    address public treasury;
    uint32 public feeBps;
    mapping(address account => mapping(address token => uint256)) public owed;

    constructor(AssetRegistry registry_, address treasury_, uint32 feeBps_) Ownable(msg.sender) {
        registry = registry_;
        _setFee(feeBps_, treasury_);
    }

    function setFee(uint32 bps, address treasury_) external onlyOwner {
        _setFee(bps, treasury_);
    }

    /// Plain ERC-20 tokens only: one that takes a fee on transfer would leave the vault short.
    function settle(uint256 id, address token, uint256 amount, uint64 calls, bytes32 batchRoot) external {
        if (amount == 0) revert NothingToSettle();
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 fee = (amount * feeBps) / BPS;
        emit CallsSettled(id, msg.sender, token, amount, fee, calls, batchRoot);
        if (fee > 0) IERC20(token).safeTransfer(treasury, fee);
        _credit(id, id, token, amount - fee, 0);
    }

    function claim(address token) external {
        uint256 amount = owed[msg.sender][token];
        if (amount == 0) revert NothingOwed(msg.sender, token);
        owed[msg.sender][token] = 0;
        IERC20(token).safeTransfer(msg.sender, amount);
        emit EarningClaimed(msg.sender, token, amount);
    }

    function payBatch(
        bytes32 batch,
        address token,
        address[] calldata accounts,
        uint256[] calldata amounts
    ) external onlyOwner {
        if (accounts.length != amounts.length) revert LengthsDiffer();
        for (uint256 i; i < accounts.length; ++i) {
            address account = accounts[i];
            uint256 amount = amounts[i];
            uint256 has = owed[account][token];
            if (has < amount) revert OwedTooLittle(account, token, has, amount);
            owed[account][token] = has - amount;
            IERC20(token).safeTransfer(account, amount);
            emit PayoutSent(batch, account, token, amount);
        }
    }

    /// Load tests only.
    function burst(uint256 n) external {
        for (uint256 i; i < n; ++i) emit Burst(i, msg.sender, i);
    }

    /// Parents first, in the order their edges were added; then the asset's own terms, the last account taking what
    /// rounding left. One EarningAccrued per account, also when its share rounds to nothing, so a replay lines up.
    function _credit(uint256 called, uint256 id, address token, uint256 amount, uint256 depth) private {
        if (depth >= MAX_DEPTH) revert TooDeep(id);
        (uint256[] memory parents, uint32[] memory parentBps, address[] memory accounts, uint32[] memory bps) = registry
            .shares(id);
        uint256 kept = amount;
        for (uint256 i; i < parents.length; ++i) {
            uint256 up = (amount * parentBps[i]) / BPS;
            kept -= up;
            _credit(called, parents[i], token, up, depth + 1);
        }
        uint256 left = kept;
        uint256 last = accounts.length - 1;
        for (uint256 i; i <= last; ++i) {
            uint256 share = i == last ? left : (kept * bps[i]) / BPS;
            left -= share;
            owed[accounts[i]][token] += share;
            emit EarningAccrued(called, id, accounts[i], token, share);
        }
    }

    function _setFee(uint32 bps, address treasury_) private {
        if (bps > BPS) revert FeeTooHigh(bps);
        if (treasury_ == address(0)) revert NoTreasury();
        feeBps = bps;
        treasury = treasury_;
        emit FeeSet(bps, treasury_);
    }
}
